"""A linear regression as users write it with Module. A payload is the seed of its examples."""

from typing import Any

import torch
from torch import nn
from torchbed.workload import Module

FEATURES = 8


def examples(seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(256, FEATURES, generator=generator)
    y = x @ torch.arange(1.0, FEATURES + 1).reshape(-1, 1) + 3
    return {"x": x, "y": y}


def create_workload(config: Any) -> Module:
    return Module(
        lambda: nn.Sequential(nn.Linear(FEATURES, 16), nn.Linear(16, 1)),
        lambda model, rows: (model(rows["x"]) - rows["y"]).square().mean(),
        lambda weights: torch.optim.AdamW(weights, lr=0.01),
        name="regression",
        device="python-torch-cpu",
        examples=examples,
    )
