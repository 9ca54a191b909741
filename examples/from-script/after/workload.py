"""The same network as ../before/train.py, as hooks that train.mjs calls."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import torch
import torch.nn.functional as F
import torchbed
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class State(TypedDict):
    """What was local variables of main() and must live from one epoch to the next."""

    model: nn.Module
    optimizer: torch.optim.AdamW


class Digits:
    """Learns to read handwritten digits."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """config: hidden, learning_rate, batch_size, seed."""
        self.config = config
        torch.set_num_threads(1)

        digits = load_digits()
        images = torch.tensor(digits.data / 16, dtype=torch.float32)  # [1797, 64]
        labels = torch.tensor(digits.target)  # [1797]
        self.train_x, self.test_x, self.train_y, self.test_y = train_test_split(
            images, labels, test_size=0.2, random_state=0
        )

    def runtime_device(self) -> str:
        """Return where models live by default."""
        return "python-torch-cpu"

    def capability_probe(self) -> dict[str, Any]:
        """Return a guess: it is not used to plan work here."""
        return {
            "preferred_backends": ["python-torch-cpu"],
            "work_units_per_second": 1.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> State:
        """Return fresh weights and their optimizer."""
        hidden = self.config["hidden"]
        torch.manual_seed(self.config["seed"])
        model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.config["learning_rate"])
        return {"model": model, "optimizer": optimizer}

    def train_window(self, state: State, batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Train for one epoch. The data are the workload's own, so `batches` is empty."""
        model, optimizer = state["model"], state["optimizer"]
        model.train()
        total, batch_size = 0.0, self.config["batch_size"]
        order = torch.randperm(len(self.train_x))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            loss = F.cross_entropy(model(self.train_x[rows]), self.train_y[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
            torchbed.progress(start + len(rows), len(order))
        return {"loss": total / len(self.train_x), "examples_processed": len(order)}

    def evaluate(self, state: State, split: object) -> dict[str, Any]:
        """Return loss and accuracy on the held-out digits."""
        state["model"].eval()
        with torch.no_grad():
            scores = state["model"](self.test_x)  # [360, 10]
            loss = F.cross_entropy(scores, self.test_y).item()
            accuracy = (scores.argmax(dim=1) == self.test_y).float().mean().item()
        return {"loss": loss, "accuracy": accuracy}

    def materialize_model_artifact_path(self, state: State, path: str) -> None:
        """Write the weights."""
        save_file(state["model"].state_dict(), path)
