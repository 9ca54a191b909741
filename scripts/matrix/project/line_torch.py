"""Learns y = 2x + 1 with torch."""

import platform
import sys
from typing import Any

import torch
from torch import nn


class Line:
    def __init__(self, config: dict[str, Any]) -> None:
        self.rate = config["learning_rate"]

    def runtime_device(self) -> str:
        return "python-torch-cpu"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["python-torch-cpu"],
            "work_units_per_second": 100.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> nn.Linear:
        model = nn.Linear(1, 1)
        nn.init.zeros_(model.weight)
        nn.init.zeros_(model.bias)
        return model

    def train_window(self, model: nn.Linear, batches: list[dict[str, Any]]) -> dict[str, Any]:
        torch.manual_seed(1)
        optimizer = torch.optim.SGD(model.parameters(), lr=self.rate)
        examples = 0
        for batch in batches:
            x = 2 * torch.rand(batch["payload"]["examples"], 1) - 1  # [N, 1]
            loss = self.loss(model, x)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            examples += len(x)
        return {"examples_processed": examples}

    def evaluate(self, model: nn.Linear, split: Any) -> dict[str, Any]:
        with torch.no_grad():
            loss = self.loss(model, torch.linspace(-1, 1, 101)[:, None])
        return {
            "loss": loss.item(),
            "python": platform.python_version(),
            "prefix": sys.prefix,
            "torch": str(torch.__version__),
        }

    def loss(self, model: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        """The mean squared error at the points x: [N, 1] -> []."""
        loss: torch.Tensor = (model(x) - (2 * x + 1)).square().mean()
        return loss
