"""A workload for the search for leaks: lent memory, large frames that fail, models of a given size.

Adds the method `settle`, which tells memory that is free from memory that is lost.
"""

import ctypes
import gc
import os
from typing import Any

from torchbed._host.params import Params
from torchbed._host.session import Session

BLOCK = b"\x2a" * (1 << 20)


class Leaking:
    workload_name = "leaking"

    def __init__(self, config: dict[str, Any]) -> None:
        """config: `model_bytes`, the size of each model."""
        self.model_bytes = config["model_bytes"]

    def runtime_device(self) -> str:
        return "python-leaking"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["cpu"],
            "work_units_per_second": 2.0,
            "target_window_seconds": 3,
        }

    def init_model(self, device: str) -> dict[str, bytes]:
        # Not of zeros, which would take no memory before they are read.
        return {"weights": b"\x01" * self.model_bytes}

    def evaluate(self, state: dict[str, bytes], split: Any) -> dict[str, Any]:
        return {"loss": 0.5, "examples": 7, "split": str(split), "is_best": False}

    def train_window(self, state: dict[str, bytes], batches: list[dict[str, Any]]) -> Any:
        for batch in batches:
            if "fill" in batch:
                fill(batch["fill"])
            if "fail" in batch:
                fail(batch["fail"], bytes(batch["frame_bytes"]))
            if "die" in batch:
                os._exit(batch["die"])
        return {"batch_count": len(batches)}


def fill(memory: Any) -> None:
    """Write to all of a lent buffer."""
    view = memoryview(memory)
    for start in range(0, len(view), len(BLOCK)):
        view[start : start + len(BLOCK)] = BLOCK[: len(view) - start]


def fail(frames: int, content: bytes) -> None:
    """Raise, from below as many frames that each hold a copy of the content."""
    mine = bytearray(content)
    if frames > 1:
        fail(frames - 1, content)
    raise LookupError(f"{len(mine)} bytes in the last of the frames")


def _settle(session: Session, params: Params) -> object:
    """Collect what is garbage, and give the system what malloc keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return {}


Session._METHODS["settle"] = _settle


def create_workload(config: dict[str, Any]) -> Leaking:
    return Leaking(config)
