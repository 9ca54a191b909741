"""Lets a test see what crosses: adds a method that evaluates an expression over a value.

Real calls answer only what the protocol allows, so the conversion table needs this door.
"""

import threading
import time
from typing import Any

from torchbed._host.params import Params
from torchbed._host.session import Session

kept: list[Any] = []
"""What an expression keeps beyond its call."""


def seen() -> list[int]:
    """Return the bytes of the first kept view; none for an exporter, which gives out no more."""
    view = kept[0]
    if type(view).__name__ == "LentBuffer":
        return []
    return [int(byte) for byte in view]


def thread_keeps(value: Any) -> int:
    """Let a thread hold a view that it takes now."""
    view = memoryview(value)
    kept.append(view)

    def hold(view: memoryview) -> None:
        time.sleep(0.1)

    threading.Thread(target=hold, args=(view,), daemon=True).start()
    return 1


def exception_keeps(value: Any) -> int:
    """Keep an exception whose frame holds a view."""

    def fail(view: Any) -> None:
        raise LookupError

    try:
        fail(memoryview(value))
    except LookupError as error:
        frame = error.__traceback__.tb_next.tb_frame  # type: ignore[union-attr]
        kept.append(frame.f_locals["view"])
        kept.append(error)
    return 1


def cycle_keeps(value: Any) -> int:
    """Leave a view in a cycle that nothing else refers to."""
    cycle: list[Any] = [memoryview(value)]
    cycle.append(cycle)
    return 1


def tensor(value: Any) -> Any:
    """Return a uint8 tensor over the memory."""
    import torch

    return torch.frombuffer(value, dtype=torch.uint8)


def tensor_over_array(value: Any) -> Any:
    """Return a tensor over a numpy array over the memory."""
    import numpy
    import torch

    return torch.from_numpy(numpy.frombuffer(value, dtype=numpy.uint8))


def keep_writing(value: Any) -> int:
    """Write to the memory for as long as nobody stops it."""
    view = memoryview(value)
    block = bytes(1 << 16)
    while True:
        for at in range(0, len(view), len(block)):
            view[at : at + len(block)] = block


def _probe(session: Session, params: Params) -> object:
    names = {**globals(), "value": params.value("value"), "nan": float("nan"), "sleep": time.sleep}
    return eval(params.text("expression"), names)


Session._METHODS["probe"] = _probe


def create_workload(config: Any) -> object:
    return object()
