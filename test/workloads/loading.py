"""A torch workload whose windows read through a DataLoader with two worker processes."""

from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from on_cpu import OnCpu


class Shards(Dataset[tuple[Tensor, Tensor]]):
    """The examples of safetensors shards: images (64,) float32, label () int64."""

    def __init__(self, paths: list[str]) -> None:
        shards = [load_file(path) for path in paths]
        self.images = torch.cat([shard["images"] for shard in shards])  # (N, 64)
        self.labels = torch.cat([shard["labels"] for shard in shards])  # (N,)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


class Loading(OnCpu):
    def init_model(self, device: str) -> nn.Module:
        torch.manual_seed(1)
        return nn.Linear(64, 10)

    def train_window(self, model: nn.Module, batches: list[dict[str, Any]]) -> dict[str, Any]:
        shards = Shards([path for batch in batches for path in batch["shard_paths"]])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        examples = 0
        loss = torch.tensor(0.0)
        for images, labels in DataLoader(shards, batch_size=64, num_workers=2):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            examples += len(labels)
        return {"examples_processed": examples, "loss": loss.item()}

    def evaluate(self, model: nn.Module, split: Any) -> dict[str, Any]:
        # What a careless author returns: a tensor.
        return {"loss": torch.zeros(())}


def create_workload(config: Any) -> Loading:
    return Loading()
