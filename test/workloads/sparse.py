"""A torch workload whose model is one tensor of zeros, most of which is never allocated."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from on_cpu import OnCpu


class Sparse(OnCpu):
    def __init__(self, config: Any) -> None:
        self.elements: int = config["elements"]

    def init_model(self, device: str) -> dict[str, Tensor]:
        model = torch.zeros(self.elements, dtype=torch.uint8)
        model[-1] = 7
        return {"weight": model}

    def train_window(self, model: dict[str, Tensor], batches: list[Any]) -> dict[str, Any]:
        model["weight"][-1] = 0
        return {}

    def evaluate(self, model: dict[str, Tensor], split: Any) -> dict[str, Any]:
        return {"last": int(model["weight"][-1]), "elements": len(model["weight"])}

    def model_tensors(self, model: dict[str, Tensor]) -> Mapping[str, Tensor]:
        return model

    def load_model_tensors(self, model: dict[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        model["weight"].copy_(tensors["weight"])


def create_workload(config: Any) -> Sparse:
    return Sparse(config)
