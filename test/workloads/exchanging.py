"""A torch workload that exchanges its weights as tensors, and trains on shards in memory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchbed.tensors import tensor_views

from on_cpu import OnCpu


class Exchanging(OnCpu):
    def __init__(self, config: Any) -> None:
        self.config = config or {}
        self.kept: list[Tensor] = []

    def init_model(self, device: str) -> nn.Module:
        return nn.Linear(self.config.get("width", 4), 3)

    def train_window(self, model: nn.Module, batches: list[dict[str, Any]]) -> dict[str, Any]:
        total = 0.0
        examples = 0
        for batch in batches:
            for shard in batch["shards"]:
                labels = tensor_views(shard)["labels"]  # (n,)
                total += float(labels.sum())
                examples += len(labels)
        return {"examples_processed": examples, "sum": total}

    def evaluate(self, model: nn.Module, split: Any) -> dict[str, Any]:
        with torch.no_grad():
            return {"checksum": float(sum(p.double().sum() for p in model.parameters()))}

    def model_tensors(self, model: nn.Module) -> Mapping[str, Tensor]:
        return model.state_dict()

    def load_model_tensors(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        model.load_state_dict(tensors)
        if self.config.get("keeps"):
            self.kept.extend(tensors.values())


def create_workload(config: Any) -> Exchanging:
    return Exchanging(config)
