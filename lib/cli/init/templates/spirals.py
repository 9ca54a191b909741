"""A workload: a small network learns on which of three arms of a spiral a point lies.

torchbed.json says with what it is made. Every peer trains a model, and the peers' models are merged
after each window; torchbed.workload.Module does all of that for a model, a loss and an optimizer.

Shapes: B points in a minibatch, 2 coordinates, 3 arms.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torchbed.workload import Module

HERE = Path(__file__).parent


class Spirals(Module):
    """What "workload_factory" of torchbed.json names."""

    def __init__(self, config):
        """Take "workload_config" of torchbed.json."""
        hidden = config["hidden_units"]
        super().__init__(
            lambda: nn.Sequential(
                nn.Linear(2, hidden), nn.Tanh(),
                nn.Linear(hidden, hidden), nn.Tanh(),
                nn.Linear(hidden, 3),
            ),
            loss,
            lambda weights: torch.optim.Adam(weights, lr=config["learning_rate"]),
            name="spirals",
            splits={"Validation": HERE / config["held_out"]},
            minibatch=48,
            epochs=config["epochs_per_window"],
            seed=1,
            threads=1,  # leave the other cores to Node.js and to other programs
            device="python-torch-cpu",
            root_ema=0.0,  # keep a merge as it is
        )  # fmt: skip


def loss(model, minibatch):
    """Return the means that training lowers and reports. Shards have x [B, 2] and y [B]."""
    scores = model(minibatch["x"])  # [B, 3]
    accuracy = (scores.argmax(dim=1) == minibatch["y"]).float().mean()  # []
    return {"loss": functional.cross_entropy(scores, minibatch["y"]), "accuracy": accuracy}
