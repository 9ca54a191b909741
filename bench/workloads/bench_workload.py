"""What the benchmarks call: hooks that do nothing, and a model of a given size that trains nothing.

config: {"megabytes": size of the model, "hooks": "tensors" or "path"}
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

BYTES_PER_TENSOR = 16_000_000


class Quiet:
    """Hooks that return at once."""

    def runtime_device(self) -> str:
        return "python-torch-cpu"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["cpu"],
            "work_units_per_second": 1.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> object:
        return {}

    def train_window(self, state: object, batches: list[Any]) -> dict[str, Any]:
        return {}

    def evaluate(self, state: object, split: Any) -> dict[str, Any]:
        return {}


class Weights(Quiet):
    """A state_dict of so many megabytes, in tensors of 16 MB."""

    def __init__(self, megabytes: int) -> None:
        self.count = max(1, megabytes * 1_000_000 // BYTES_PER_TENSOR)

    def init_model(self, device: str) -> dict[str, Tensor]:
        elements = BYTES_PER_TENSOR // 4
        return {f"w{i:03}": torch.full((elements,), float(i)) for i in range(self.count)}


class ByTensors(Weights):
    def model_tensors(self, state: dict[str, Tensor]) -> Mapping[str, Tensor]:
        return state

    def load_model_tensors(self, state: dict[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            state[name].copy_(tensor)


class ByPath(Weights):
    def load_model_artifact_path(self, state: dict[str, Tensor], path: str) -> None:
        for name, tensor in load_file(path).items():
            state[name].copy_(tensor)

    def materialize_model_artifact_path(self, state: dict[str, Tensor], path: str) -> None:
        save_file(state, path)


def create_workload(config: dict[str, Any]) -> Quiet:
    torch.set_num_threads(1)
    hooks = {"tensors": ByTensors, "path": ByPath}.get(config.get("hooks", ""))
    return Quiet() if hooks is None else hooks(config["megabytes"])
