"""A workload that learns to read handwritten digits: an MLP of 9,610 weights."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchbed.workload import Module


def create_workload(config: Mapping[str, Any] | None) -> Module:
    """Make the workload. The config sets parameters of `digits`."""
    return digits(**(config or {}))


def digits(
    train_root: str = "out/digits/data/train", test_root: str = "out/digits/data/test",
    hidden: int = 128, learning_rate: float = 2e-3, weight_decay: float = 1e-2,
    epochs_per_window: int = 4, **options: Any,
) -> Module:  # fmt: skip
    """Make the workload. Relative paths start at the current directory."""

    def loss(model: nn.Module, minibatch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        scores, labels = model(minibatch["images"]), minibatch["labels"]  # [B, 10], [B]
        accuracy = (scores.argmax(dim=1) == labels).float().mean()
        return {"loss": F.cross_entropy(scores, labels), "accuracy": accuracy}

    settings: dict[str, Any] = {"seed": 7, "threads": 1, "device": "python-torch-cpu"}
    return Module(
        lambda: nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10)),
        loss,
        lambda weights: torch.optim.AdamW(weights, lr=learning_rate, weight_decay=weight_decay),
        name="digits-mlp",
        splits={"Train": train_root, "Test": test_root, "Validation": test_root},
        epochs=epochs_per_window,
        **settings | options,
    )
