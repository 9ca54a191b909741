"""A GPT over bytes: no tokenizer, a vocabulary of 256, any file is text.

Pre-norm blocks with rotary positions, RMS norms without weights, normalised queries and keys, and
squared ReLU. Output projections begin at zero: an untrained model gives every byte the same
probability, which costs 8 bits per byte.

Shapes: B sequences, T bytes of each (at most the context), W width, H heads of D = W / H.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCABULARY = 256
ROTARY_BASE = 10_000.0


@dataclass(frozen=True)
class Shape:
    """How large a model is."""

    layers: int
    heads: int
    width: int
    context: int  # bytes that the model looks back at, itself included


PRESETS = {
    "25m": Shape(layers=8, heads=8, width=512, context=256),  # 25,427,968 weights
    "tiny": Shape(layers=2, heads=2, width=64, context=64),  # 131,072 weights
}


class BytesGpt(nn.Module):
    """Scores for the next byte, at every position."""

    rotation: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(VOCABULARY, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.head = nn.Linear(shape.width, VOCABULARY, bias=False)
        nn.init.zeros_(self.head.weight)
        # Computed, hence no part of the artifact.
        self.register_buffer("rotation", rotation_table(shape), persistent=False)

    def forward(self, text: Tensor) -> Tensor:
        """Return logits float32 [B, T, 256] for bytes int64 [B, T], T at most the context."""
        rotation = self.rotation[:, : text.shape[1]]  # [2, T, D / 2]
        x = norm(self.embedding(text))  # [B, T, W]
        for block in self.blocks:
            x = block(x, rotation)
        logits: Tensor = self.head(norm(x))
        return logits

    @torch.inference_mode()
    def generate(self, prompt: bytes, length: int, temperature: float, seed: int) -> bytes:
        """Return `length` further bytes, drawn with a generator of this seed; not the prompt."""
        draw = torch.Generator().manual_seed(seed)
        text = torch.tensor([list(prompt)], dtype=torch.int64)  # [1, T]
        for _ in range(length):
            seen = text[:, -self.shape.context :].to(self.head.weight.device)
            logits = self(seen)[0, -1].cpu()  # [256]
            chances = (logits / temperature).softmax(dim=0)
            text = torch.cat([text, torch.multinomial(chances, 1, generator=draw)[None]], dim=1)
        return bytes(text[0, len(prompt) :].tolist())


class Block(nn.Module):
    """Attention over the bytes so far, then an MLP; both add to their input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        width = shape.width
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in = nn.Linear(width, 4 * width, bias=False)
        self.mlp_out = nn.Linear(4 * width, width, bias=False)
        for inner in (self.queries_keys_values, self.mlp_in):
            nn.init.normal_(inner.weight, std=width**-0.5)
        for outer in (self.attention_out, self.mlp_out):
            nn.init.zeros_(outer.weight)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """x: [B, T, W], rotation: [2, T, D / 2]. Returns [B, T, W]."""
        x = x + self.attention_out(self.attend(norm(x), rotation))
        x = x + self.mlp_out(F.relu(self.mlp_in(norm(x))).square())
        return x

    def attend(self, x: Tensor, rotation: Tensor) -> Tensor:
        """Mix the values of all earlier positions and the own one: [B, T, W] -> [B, T, W]."""
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, H, T, D]
            for part in self.queries_keys_values(x).chunk(3, dim=2)
        )
        q, k = norm(rotate(q, rotation)), norm(rotate(k, rotation))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # [B, H, T, D]
        return mixed.transpose(1, 2).flatten(2)


def readable(text: bytes) -> str:
    """Return text for a terminal or a log. What is no UTF-8 or could control it becomes U+FFFD."""
    decoded = text.decode(errors="replace")
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in decoded)


def norm(x: Tensor) -> Tensor:
    """Scale the last dimension to a root mean square of 1."""
    return F.rms_norm(x, (x.shape[-1],))


def rotation_table(shape: Shape) -> Tensor:
    """Return cosines and sines of all positions and frequencies: float32 [2, context, D / 2]."""
    pairs = shape.width // shape.heads // 2
    frequencies = ROTARY_BASE ** -(torch.arange(pairs) / pairs)  # [D / 2]
    angles = torch.outer(torch.arange(shape.context), frequencies)  # [context, D / 2]
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn pairs of features by angles that grow with the position, so that scores see distance."""
    cosine, sine = rotation
    a, b = x.chunk(2, dim=-1)  # [B, H, T, D / 2] each
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], dim=-1)
