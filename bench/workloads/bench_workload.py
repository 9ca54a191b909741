"""What the benchmarks call: hooks that do nothing, and a model of a given size that trains nothing.

config: {"megabytes": size of the model, "hooks": "tensors" or "path"}; without hooks, torch is
imported and nothing is done with it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from quiet_workload import Quiet

LARGEST_TENSOR_BYTES = 16_000_000


class Weights(Quiet):
    """A state_dict of so many megabytes, in four tensors or more, of 16 MB at most."""

    def __init__(self, megabytes: float) -> None:
        size = int(megabytes * 1_000_000)
        self.count = max(4, -(-size // LARGEST_TENSOR_BYTES))
        self.elements = size // 4 // self.count

    def init_model(self, device: str) -> dict[str, Tensor]:
        return {f"w{i:03}": torch.full((self.elements,), float(i)) for i in range(self.count)}


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
