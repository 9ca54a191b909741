"""A workload of torchbed.workload.Module whose steps take some ten milliseconds."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torchbed.workload import Module


def create_workload(config: dict[str, Any]) -> Module:
    def examples(payload: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {"x": torch.randn(payload["steps"] * config["minibatch"], 64)}

    return Module(
        lambda: nn.Sequential(nn.Linear(64, 512), nn.Tanh(), nn.Dropout(0.1), nn.Linear(512, 64)),
        loss,
        lambda weights: torch.optim.SGD(weights, lr=0.01),
        minibatch=config["minibatch"],
        threads=1,
        device="python-torch-cpu",
        examples=examples,
    )


def loss(model: nn.Module, minibatch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    assert model.training, "an urgent call has left the model in evaluation mode"
    return (model(minibatch["x"]) - minibatch["x"]).square().mean()
