"""A workload that learns to write Python, byte by byte: the GPT of bytes_gpt_model.py in windows.

The file writes out the hooks of spec hooks#the-hooks, all but apply_patch. A window is a
fixed number of steps, whatever the size of the lease. `create_workload(config)` is the factory; the
config's keys are the fields of Config.

Shapes: B sequences in a minibatch, T = the model's context, n bytes in a shard, N in some shards.
One example is one sequence, and one token is one byte. The plan of the dataset counts each byte as
an example.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import torch
import torch.nn.functional as F
from bytes_gpt_model import PRESETS, VOCABULARY, BytesGpt, readable
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchbed.workload import merge_weight, weighted_merge

Metrics: TypeAlias = dict[str, bool | int | float | str]
Name: TypeAlias = str | Mapping[str, Any]  # "Test", or {"Custom": "held-out"}: a name with a value
Tensors: TypeAlias = Mapping[str, Tensor]

DEVICES = {
    "python-torch-cpu": "cpu",
    "python-torch-cuda": "cuda",
    "python-torch-mps": "mps",
}


@dataclass(frozen=True)
class Config:
    """What the host's configuration may set. Relative paths start at the current directory."""

    train_root: str = "out/bytes-gpt/data/train"  # shards for evaluate("Train")
    validation_root: str = "out/bytes-gpt/data/validation"  # for evaluate("Validation"), ("Test")
    preset: str = "25m"  # a name in PRESETS
    device: str = "python-torch-cpu"
    threads: int = 1  # of torch; 1 leaves the other cores to the host's event loop
    seed: int = 7
    learning_rate: float = 1e-3
    warmup_steps: int = 20  # the rate rises to its value over so many steps
    weight_decay: float = 0.1
    minibatch: int = 8  # sequences in a step
    steps_per_window: int = 20
    root_ema: float = 0.25  # share of the old model in what a merge becomes
    evaluation_sequences: int = 64  # spread evenly over the split
    sample_prompt: str = "def "
    sample_bytes: int = 64  # written by each evaluation; 0 for none

    def __post_init__(self) -> None:
        """Refuse what would fail later, or never end, with a less clear error."""
        if self.preset not in PRESETS:
            raise ValueError(f"unknown preset {self.preset!r}; known are {sorted(PRESETS)}")
        for name in ("threads", "minibatch", "steps_per_window", "evaluation_sequences"):
            if (value := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not 0 <= self.root_ema < 1:
            raise ValueError(f"root_ema must be at least 0 and below 1, not {self.root_ema}")
        if self.sample_bytes > 0 and not self.sample_prompt:
            raise ValueError("sample_prompt is empty; give a first byte, or set sample_bytes to 0")


class State(TypedDict):
    """One model in training. Artifacts carry the model's weights alone."""

    model: BytesGpt
    optimizer: torch.optim.AdamW
    positions: torch.Generator  # draws where the sequences of a minibatch start
    steps: int  # done by the optimizer; the warm-up counts them


class Capability(TypedDict):
    """What this machine is good for; the host plans how much data to lease with it."""

    preferred_backends: list[str]
    work_units_per_second: float
    target_window_seconds: int


def create_workload(config: Mapping[str, Any] | None) -> "BytesGptWorkload":
    """Make the workload. Raises ValueError for a config key or value that cannot be."""
    config = config or {}
    known = [field.name for field in fields(Config)]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(f"unknown keys in workload_config: {unknown}; known are {known}")
    return BytesGptWorkload(Config(**config))


class BytesGptWorkload:
    """The hooks, in the order in which a model's life needs them."""

    workload_name = "bytes-gpt"

    def __init__(self, config: Config) -> None:
        """config: see Config."""
        self.config = config
        self.shape = PRESETS[config.preset]
        torch.set_num_threads(config.threads)

    # --- what this machine is and can do ---

    def runtime_device(self) -> str:
        """Return the device's tag, which comes back in init_model."""
        return self.config.device

    def capability_probe(self) -> Capability:
        """Measure training speed for a moment, one step at least. A work unit is 16 bytes."""
        state = self.init_model(self.config.device)
        text = torch.zeros(1, self.shape.context + 1, dtype=torch.int64)  # [1, T + 1]
        tokens, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < 0.05:
            self._step(state, text)
            tokens += self.shape.context
        return {
            "preferred_backends": [self.config.device],
            "work_units_per_second": tokens / 16 / seconds,
            "target_window_seconds": 60,
        }

    # --- training ---

    def init_model(self, device: str) -> State:
        """Return fresh weights. All peers draw the same ones, so that their models can merge."""
        if device not in DEVICES:
            raise ValueError(f"unknown device {device!r}; known are {sorted(DEVICES)}")
        with torch.random.fork_rng(devices=[]):  # leaves the global generator as it was
            torch.manual_seed(self.config.seed)
            model = BytesGpt(self.shape)
        return self._state(model.to(DEVICES[device]))

    def _state(self, model: BytesGpt) -> State:
        return {
            "model": model,
            "optimizer": torch.optim.AdamW(
                model.parameters(),
                lr=self.config.learning_rate,
                betas=(0.9, 0.95),
                weight_decay=self.config.weight_decay,
            ),
            "positions": torch.Generator().manual_seed(self.config.seed),
            "steps": 0,
        }

    def train_window(self, state: State, batches: Sequence[Mapping[str, Any]]) -> Metrics:
        """Train for `steps_per_window` minibatches, drawn from the shards of all batches.

        Returns the mean loss over the window, each sequence seen just before the step that learnt
        from it, and how many sequences and bytes were learnt from.
        """
        paths = [path for batch in batches for path in shard_paths(batch)]
        if not paths:
            return {"examples_processed": 0, "tokens_processed": 0}
        text = read_shards(paths)  # [N]
        length = self.shape.context + 1
        last = last_start(text, length)
        state["model"].train()
        total_loss = 0.0
        for _ in range(self.config.steps_per_window):
            starts = torch.randint(
                last + 1, (self.config.minibatch,), generator=state["positions"]
            )  # [B]
            total_loss += self._step(state, sequences(text, starts, length))
        examples = self.config.steps_per_window * self.config.minibatch
        return {
            **loss_metrics(total_loss / self.config.steps_per_window),
            "examples_processed": examples,
            "tokens_processed": examples * self.shape.context,
        }

    def _step(self, state: State, text: Tensor) -> float:
        """Learn from one minibatch, int64 [B, T + 1]. Return its mean loss."""
        state["steps"] += 1
        warm = min(1.0, state["steps"] / max(1, self.config.warmup_steps))
        for group in state["optimizer"].param_groups:
            group["lr"] = self.config.learning_rate * warm
        logits, targets = predict(state["model"], text)  # [B * T, 256], [B * T]
        loss = F.cross_entropy(logits, targets)  # []
        state["optimizer"].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state["model"].parameters(), 1.0)
        state["optimizer"].step()
        return loss.item()

    def evaluate(self, state: State, split: Name) -> Metrics:
        """Return loss, bits per byte and accuracy of the next byte, and a sample of writing.

        Always on the same sequences of the split, each with a context that begins empty.
        """
        if split == "Train":
            text = read_folder(self.config.train_root)  # [N]
        elif split in ("Test", "Validation"):
            text = read_folder(self.config.validation_root)
        else:
            raise ValueError(f"no data for the split {split!r}; there are Train, Validation, Test")
        length = self.shape.context + 1
        last = last_start(text, length)
        state["model"].eval()
        count, minibatch = self.config.evaluation_sequences, self.config.minibatch
        starts = torch.linspace(0, last, count, dtype=torch.float64).long()
        total_loss, correct = 0.0, 0
        with torch.inference_mode():
            for first in range(0, count, minibatch):
                rows = starts[first : first + minibatch]  # [B]
                logits, targets = predict(state["model"], sequences(text, rows, length))
                total_loss += F.cross_entropy(logits, targets, reduction="sum").item()
                correct += int((logits.argmax(dim=1) == targets).sum().item())
        tokens = count * self.shape.context
        metrics: Metrics = {
            **loss_metrics(total_loss / tokens),
            "accuracy": correct / tokens,
            "examples": count,
        }
        if self.config.sample_bytes > 0:
            metrics["sample"] = self._sample(state)
        return metrics

    def _sample(self, state: State) -> str:
        prompt = self.config.sample_prompt.encode()
        written = state["model"].generate(prompt, self.config.sample_bytes, 0.8, self.config.seed)
        return readable(prompt + written)

    # --- weights that come and go ---

    def materialize_model_artifact_path(self, state: State, path: str) -> None:
        """Write the weights. Equal weights give equal bytes, hence equal artifact ids."""
        save_file({name: tensor.cpu() for name, tensor in weights(state).items()}, path)

    def load_model_artifact_path(self, state: State, path: str) -> None:
        """Take over weights from a file, which may be a peer's. Refused ones change nothing.

        A NaN would spread to every merged model. The optimizer's moments belong to other weights,
        so they begin anew.
        """
        tensors = load_file(path)
        if layout(tensors) != layout(weights(state)):
            raise ValueError(f"the artifact holds {layout(tensors)}, not {layout(weights(state))}")
        for name, tensor in tensors.items():
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"the artifact's tensor {name!r} holds a NaN or an infinity")
        state["model"].load_state_dict(tensors)
        state.update(self._state(state["model"]))

    # --- many models become one ---

    def merge_candidate_models(
        self, base: State, candidates: Sequence[Mapping[str, Any]], policy: Name
    ) -> State | None:
        """Return base + sum(w * (candidate - base)) / sum(w), with w by data and by quality.

        Without candidates there is nothing to merge: None. With no weight at all: the base.
        """
        if not candidates:
            return None
        merged = weighted_merge(
            weights(base),
            [
                (peer["peer_id"], weights(peer["model"]), merge_weight(peer, policy))
                for peer in candidates
            ],
        )
        state = self.init_model(self.config.device)
        state["model"].load_state_dict(merged)
        return state

    def apply_single_root_ema(self, base: State, merged: State, policy: Name) -> None:
        """Damp the merge, in place: merged * (1 - root_ema) + base * root_ema."""
        blend(merged, base, self.config.root_ema)

    def reconcile_canonical_model(self, local: State, canonical: State, strategy: Name) -> None:
        """Go on from the canonical model, or from local * (1 - w) + canonical * w.

        The canonical model is close to the local one, a share of it even. So what the local
        optimizer has learnt still holds; without it every window would begin with a warm-up.
        """
        if isinstance(strategy, Mapping) and set(strategy) == {"RootEma"}:
            blend(canonical, local, 1.0 - strategy["RootEma"]["canonical_weight"])
        elif strategy != "Replace":
            raise ValueError(f"unknown strategy {strategy!r}; known are Replace and RootEma")
        # Loading alone would let the two optimizers share their moments.
        canonical["optimizer"].load_state_dict(deepcopy(local["optimizer"].state_dict()))
        canonical["positions"].set_state(local["positions"].get_state())
        canonical["steps"] = local["steps"]


# --- text ---


def shard_paths(batch: Mapping[str, Any]) -> list[str]:
    """Return the files of a batch. There are batches without files, which are not for us."""
    if batch["kind"] != "cached_microshard_group":
        raise ValueError(f"cannot train on batches of kind {batch['kind']!r}")
    paths: list[str] = batch["shard_paths"]
    return paths


def read_shards(paths: Iterable[str]) -> Tensor:
    """Return the text of some shards, one after the other: uint8 [N]."""
    return torch.cat([read_shard(path) for path in paths])


def read_shard(path: str) -> Tensor:
    """Return the text of one shard, uint8 [n]. Raises ValueError for another kind of file."""
    tensors = load_file(path)
    text = tensors.get("bytes")
    if text is None or text.dtype != torch.uint8 or text.ndim != 1:
        raise ValueError(f"{path} holds {layout(tensors)}; a shard of text holds bytes, uint8 [n]")
    return text


@cache
def read_folder(root: str) -> Tensor:
    """Like read_shards, for all shards in a folder; read once, for the whole process."""
    paths = sorted(map(str, Path(root).glob("*.safetensors")))
    if not paths:
        raise FileNotFoundError(
            f"no shards in {Path(root).absolute()}; run examples/bytes-gpt/prepare_bytes.py first"
        )
    return read_shards(paths)


def last_start(text: Tensor, length: int) -> int:
    """Return where the last sequence of this length starts. Raises ValueError when none fits."""
    if len(text) < length:
        raise ValueError(f"{len(text)} bytes of text are too few for sequences of {length} bytes")
    return len(text) - length


def sequences(text: Tensor, starts: Tensor, length: int) -> Tensor:
    """Cut pieces out of the text: uint8 [N] and int64 [B] give int64 [B, length]."""
    return text[starts[:, None] + torch.arange(length)].long()


# --- steps of the above ---


def predict(model: BytesGpt, text: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits [B * T, 256] for each byte but the first, and those bytes [B * T].

    text: int64 [B, T + 1], on any device.
    """
    text = text.to(model.head.weight.device)
    logits = model(text[:, :-1])  # [B, T, 256]
    return logits.reshape(-1, VOCABULARY), text[:, 1:].reshape(-1)


def loss_metrics(nats: float) -> Metrics:
    """Return the mean loss of a byte in nats, as it was minimised, and in bits."""
    return {"loss": nats, "bits_per_byte": nats / math.log(2)}


def weights(state: State) -> dict[str, Tensor]:
    """Return the tensors that an artifact holds, all float32: "embedding.weight" [256, W], ..."""
    return state["model"].state_dict()


def layout(tensors: Tensors) -> dict[str, tuple[list[int], torch.dtype]]:
    """Return what must be equal for weights to fit: names, shapes and dtypes."""
    return {name: (list(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def blend(target: State, other: State, share: float) -> None:
    """Move the target towards other, in place: target * (1 - share) + other * share."""
    others = weights(other)
    for name, tensor in weights(target).items():
        tensor.lerp_(others[name], share)
