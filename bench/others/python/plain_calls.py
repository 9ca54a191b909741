"""What bridges call that know no workloads: plain functions over the hooks that torchbed calls.

Nothing here imports torch before it is needed, so that a start without torch can be measured.
"""

import base64
import importlib
from typing import Any

_state: dict[str, Any] = {}


def evaluate(split: str) -> dict[str, Any]:
    """Return at once."""
    return {}


def train_window(batches: list[Any]) -> int:
    """Return how many batches arrived."""
    return len(batches)


def open_weights(megabytes: int) -> None:
    """Make the model of bench_workload, of so many megabytes."""
    workload = importlib.import_module("bench_workload").create_workload(
        {"megabytes": megabytes, "hooks": "tensors"}
    )
    _state["weights"] = workload.init_model("cpu")


def load_weights(artifact: bytes) -> None:
    """Copy a safetensors file in memory into the live model, as safetensors' own README does."""
    safetensors = importlib.import_module("safetensors.torch")
    for name, tensor in safetensors.load(artifact).items():
        _state["weights"][name].copy_(tensor)


def save_weights() -> bytes:
    """Return the live model as a safetensors file."""
    data: bytes = importlib.import_module("safetensors.torch").save(_state["weights"])
    return data


def load_weights_base64(artifact: str) -> None:
    """The same for a bridge that carries text alone."""
    load_weights(base64.b64decode(artifact))


def save_weights_base64() -> str:
    """The same for a bridge that carries text alone."""
    return base64.b64encode(save_weights()).decode("ascii")


def open_digits(config: dict[str, Any]) -> None:
    """Make the model of examples/digits."""
    workload = importlib.import_module("digits_workload").create_workload(config)
    _state["digits"] = (workload, workload.init_model(workload.runtime_device()))


def train_digits(batches: list[Any]) -> int:
    """Train a window; return the number of examples processed in it."""
    workload, state = _state["digits"]
    examples: int = workload.train_window(state, batches)["examples_processed"]
    return examples
