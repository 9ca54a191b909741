"""A workload for a server to train: a network that tells two intertwined spirals apart.

The data are generated, so that nothing is downloaded. Shapes: B points in a minibatch, N in a set.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
import torchbed
from safetensors.torch import save_file
from torch import Tensor, nn

TRAIN_POINTS = 4000
TEST_POINTS = 1000
TURNS = 3.0  # of each spiral around the other
NOISE = 0.03  # standard deviation, where a spiral's outer end is 1 from the centre


class State(TypedDict):
    """One model in training."""

    model: nn.Module
    optimizer: torch.optim.AdamW
    draws: torch.Generator  # picks minibatches


class Spirals:
    """The hooks that a server needs: train, evaluate, save."""

    workload_name = "two-spirals"

    def __init__(self, config: Mapping[str, Any]) -> None:
        """config: hidden, learning_rate, steps_per_window, batch_size, threads, seed."""
        self.config = config
        torch.set_num_threads(config["threads"])
        draws = torch.Generator().manual_seed(config["seed"])
        self.train_x, self.train_y = spirals(TRAIN_POINTS, draws)
        self.test_x, self.test_y = spirals(TEST_POINTS, draws)

    def runtime_device(self) -> str:
        """Return where models live."""
        return "python-torch-cpu"

    def capability_probe(self) -> dict[str, Any]:
        """Return a guess: it is not used to plan work here."""
        return {
            "preferred_backends": ["python-torch-cpu"],
            "work_units_per_second": 1.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> State:
        """Return fresh weights."""
        torch.manual_seed(self.config["seed"])
        hidden = self.config["hidden"]
        model = nn.Sequential(
            *(nn.Linear(2, hidden), nn.SiLU()),  # [B, 2] -> [B, hidden]
            *(nn.Linear(hidden, hidden), nn.SiLU()),
            *(nn.Linear(hidden, hidden), nn.SiLU()),
            nn.Linear(hidden, 2),  # -> [B, 2]: a score for each spiral
        )
        return {
            "model": model,
            "optimizer": torch.optim.AdamW(model.parameters(), lr=self.config["learning_rate"]),
            "draws": torch.Generator().manual_seed(self.config["seed"]),
        }

    def train_window(self, state: State, batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Take some steps on minibatches drawn at random; `batches` is empty, the data are here."""
        steps, batch_size = self.config["steps_per_window"], self.config["batch_size"]
        state["model"].train()
        total = 0.0
        for step in range(1, steps + 1):
            rows = torch.randint(TRAIN_POINTS, (batch_size,), generator=state["draws"])  # [B]
            loss = F.cross_entropy(state["model"](self.train_x[rows]), self.train_y[rows])
            state["optimizer"].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            state["optimizer"].step()
            total += loss.item()
            torchbed.progress(step, steps, loss=loss.item())
        return {"loss": total / steps, "examples_processed": steps * batch_size}

    def evaluate(self, state: State, split: object) -> dict[str, Any]:
        """Return loss and accuracy on points that are never trained on."""
        state["model"].eval()
        with torch.inference_mode():
            scores = state["model"](self.test_x)  # [N, 2]
            loss = F.cross_entropy(scores, self.test_y)  # []
            accuracy = (scores.argmax(dim=1) == self.test_y).float().mean()  # []
        return {"loss": loss.item(), "accuracy": accuracy.item()}

    def materialize_model_artifact_path(self, state: State, path: str) -> None:
        """Write the weights."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_file(state["model"].state_dict(), path)


def spirals(count: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return points float32 [N, 2] within about 1 of the centre, and whose they are int64 [N]."""
    labels = torch.randint(2, (count,), generator=draws)
    radius = torch.rand(count, generator=draws).sqrt()  # as dense outside as inside
    angle = radius * TURNS * 2 * math.pi + labels * math.pi
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + NOISE * torch.randn(points.shape, generator=draws), labels
