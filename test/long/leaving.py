"""A workload that is in the middle of something when its process leaves (cells.ts).

The config says in what, and for how many seconds. `READY` on stdout says that it has begun.
"""

import collections
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any


def begin() -> None:
    print("READY", flush=True)


def train(seconds: float, batches: list[Any]) -> None:
    """Run bytecode."""
    begin()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))


def c_call(seconds: float, batches: list[Any]) -> None:
    """Multiply matrices in one C call, without the GIL."""
    import torch

    matrix = torch.eye(1024)

    def multiply(times: int) -> float:
        began = time.monotonic()
        torch.linalg.multi_dot([matrix] * times)
        return time.monotonic() - began

    multiply(3)
    times = max(3, round(seconds / multiply(10) * 10))
    begin()
    multiply(times)


def c_call_gil(seconds: float, batches: list[Any]) -> None:
    """Count in one C call that keeps the GIL and asks for no signal."""

    def count(times: int) -> float:
        began = time.monotonic()
        collections.deque(itertools.repeat(None, times), maxlen=0)
        return time.monotonic() - began

    times = round(seconds / count(10_000_000) * 10_000_000)
    begin()
    count(times)


def write_lent(seconds: float, batches: list[Any]) -> None:
    """Write to the memory that the batch lends, again and again."""
    view = memoryview(batches[0]["payload"])
    block = bytes(range(256)) * 256
    begin()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for at in range(0, len(view), len(block)):
            view[at : at + len(block)] = block


kept: list[Any] = []
"""What outlives the call."""


def load(seconds: float, batches: list[Any]) -> None:
    """Take batches from a DataLoader, whose workers stay."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(
        TensorDataset(torch.zeros(64, 2)), batch_size=4, num_workers=2, persistent_workers=True
    )
    batches_of_loader = iter(loader)
    next(batches_of_loader)  # of the one worker
    next(batches_of_loader)  # of the other
    kept.append(batches_of_loader)
    begin()


def start_thread(seconds: float, batches: list[Any]) -> None:
    """Start a thread for which Python itself would wait."""

    def run() -> None:
        while True:
            sum(range(1000))
            time.sleep(0.001)

    threading.Thread(target=run).start()
    begin()


ACTIONS: dict[str, Callable[[float, list[Any]], None]] = {
    "idle": lambda seconds, batches: begin(),
    "training": train,
    "c-call": c_call,
    "c-call-gil": c_call_gil,
    "lent": write_lent,
    "loader": load,
    "thread": start_thread,
    "worker": train,
}


class Leaving:
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def runtime_device(self) -> str:
        return "python-torch-cpu"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["cpu"],
            "work_units_per_second": 1.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> dict[str, Any]:
        if self.config["state"] != "publishing":
            return {}
        import torch

        # 25 tensors of 4 MB.
        return {f"layer{i}": torch.rand(1024, 1024) for i in range(25)}

    def train_window(self, state: dict[str, Any], batches: list[Any]) -> dict[str, Any]:
        ACTIONS[self.config["state"]](self.config["seconds"], batches)
        return {"loss": 0.0}

    def evaluate(self, state: dict[str, Any], split: Any) -> dict[str, Any]:
        return {"loss": 0.0}

    def model_tensors(self, state: dict[str, Any]) -> dict[str, Any]:
        return state


def create_workload(config: dict[str, Any]) -> Leaving:
    if config["state"] == "importing":
        begin()
        import torch  # noqa: F401
    return Leaving(config)
