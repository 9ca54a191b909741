"""Ways in which Python keeps lent memory beyond its call, and a look at what it keeps.

Adds the method `lend` that evaluates an expression over a value, as value_probe.py does. A way to
keep memory answers a reader: a function that holds it and returns the bytes it sees.
"""

import contextlib
import ctypes
import gc
import io
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from torchbed._host.params import Params
from torchbed._host.session import Session

Reader = Callable[[], bytes]

kept: dict[str, Reader] = {}
"""The reader of each thing that was kept, by its name."""

released = threading.Event()
"""Lets the threads of `thread` go."""

module_global: Any = None


def keep(way: str, value: Any, name: str = "it") -> int:
    """Keep lent memory in one of the ways below."""
    kept[name] = globals()[way](value)
    return 1


def read(name: str = "it") -> bytes:
    """Return what is there to be seen now of what was kept."""
    return kept[name]()


def drop(name: str = "it") -> int:
    """Let go of one thing that was kept."""
    global module_global
    if name == "it":
        module_global = None
    kept.pop(name, None)
    released.set()
    gc.collect()
    return 1


def settle(with_torch: bool) -> int:
    """Leave what is loaded out of later collections, which take 0.2 s when torch is among it."""
    if with_torch:
        import torch  # noqa: F401
    gc.collect()
    gc.freeze()
    return 1


# --- ways to keep it --------------------------------------------------------------------------


def itself(value: Any) -> Reader:
    def reader() -> bytes:
        assert len(value) > 0
        with contextlib.suppress(BufferError):
            return bytes(value)
        return b""

    return reader


def view(value: Any) -> Reader:
    return memoryview(value).tobytes


def slice_of_view(value: Any) -> Reader:
    return memoryview(value)[4:8].tobytes


def array(value: Any) -> Reader:
    import numpy

    return numpy.frombuffer(value, dtype=numpy.uint8).tobytes


def array_over_view(value: Any) -> Reader:
    import numpy

    return numpy.asarray(memoryview(value)).tobytes


def structured_array(value: Any) -> Reader:
    import numpy

    return numpy.frombuffer(value, dtype=[("low", "<u2"), ("high", "<u2")])[1:2].tobytes


def _bytes_of(tensor: Any) -> Reader:
    return lambda: bytes(tensor.contiguous().flatten().numpy())


def tensor(value: Any) -> Reader:
    import torch

    return _bytes_of(torch.frombuffer(value, dtype=torch.uint8))


def slice_of_tensor(value: Any) -> Reader:
    import torch

    return _bytes_of(torch.frombuffer(value, dtype=torch.float32).view(2, 2)[:1, 1:])


def tensor_over_array(value: Any) -> Reader:
    import numpy
    import torch

    return _bytes_of(torch.from_numpy(numpy.frombuffer(value, dtype=numpy.float32)))


def tensor_over_memoryview(value: Any) -> Reader:
    import torch

    return _bytes_of(torch.frombuffer(memoryview(value), dtype=torch.uint8))


def array_of_tensor(value: Any) -> Reader:
    import torch

    return torch.frombuffer(value, dtype=torch.uint8).numpy().tobytes


def storage(value: Any) -> Reader:
    import torch

    kept_storage = torch.frombuffer(value, dtype=torch.uint8).untyped_storage()
    return lambda: bytes(kept_storage.tolist())


def capsule(value: Any) -> Reader:
    import torch

    exchanged = torch.from_dlpack(torch.frombuffer(value, dtype=torch.uint8))
    return _bytes_of(exchanged)


def graph(value: Any) -> Reader:
    """Keep a loss whose backward pass needs the batch."""
    import torch

    batch = torch.frombuffer(value, dtype=torch.float32)
    weight = torch.ones(len(batch), requires_grad=True)
    loss = (weight * batch).sum()
    return lambda: bytes(torch.autograd.grad(loss, weight, retain_graph=True)[0].numpy())


def module(value: Any) -> Reader:
    import torch

    layer = torch.nn.Linear(4, 1, bias=False)
    layer.weight = torch.nn.Parameter(torch.frombuffer(value, dtype=torch.float32).view(1, 4))
    return lambda: bytes(layer.state_dict()["weight"].numpy())


def global_of_module(value: Any) -> Reader:
    import torch

    global module_global
    module_global = torch.frombuffer(value, dtype=torch.uint8)
    return lambda: bytes(module_global.numpy())


def generator(value: Any) -> Reader:
    def steps(view: memoryview) -> Generator[bytes]:
        while True:
            yield bytes(view)

    suspended = steps(memoryview(value))
    next(suspended)
    return lambda: next(suspended)


def coroutine(value: Any) -> Reader:
    class Step:
        def __await__(self) -> Iterator[bytes]:
            yield b""

    async def steps(view: memoryview) -> None:
        await Step()

    suspended = steps(memoryview(value))
    suspended.send(None)
    return lambda: bytes(suspended.cr_frame.f_locals["view"])


def _fail(view: memoryview) -> None:
    raise LookupError(len(view))


def exception(value: Any) -> Reader:
    try:
        _fail(memoryview(value))
    except LookupError as error:
        failed = error

    def reader() -> bytes:
        traceback = failed.__traceback__
        while traceback is not None and traceback.tb_frame.f_code is not _fail.__code__:
            traceback = traceback.tb_next
        assert traceback is not None
        return bytes(traceback.tb_frame.f_locals["view"])

    return reader


def raised(value: Any) -> Reader:
    """Keep an exception, and raise it as well."""
    kept["it"] = exception(value)
    raise LookupError("raised and kept")


def thread(value: Any) -> Reader:
    """Let a thread hold a view until `drop`; it alone does."""
    released.clear()
    asked, answered = threading.Event(), threading.Event()
    answers: list[bytes] = []

    def hold(view: memoryview) -> None:
        while not released.is_set():
            if asked.wait(0.01):
                asked.clear()
                answers.append(bytes(view))
                answered.set()

    threading.Thread(target=hold, args=(memoryview(value),), daemon=True).start()

    def reader() -> bytes:
        answered.clear()
        asked.set()
        assert answered.wait(10)
        return answers.pop()

    return reader


def keep_for_a_while(value: Any) -> int:
    """Let a thread hold a view for a second and drop it by itself."""

    def hold(view: memoryview) -> None:
        time.sleep(1)

    threading.Thread(target=hold, args=(memoryview(value),), daemon=True).start()
    return 1


def keep_for_ever(value: Any) -> int:
    """Keep a view, then run until somebody stops it."""
    keep("view", value)
    while True:
        time.sleep(0.001)


def cycle_of_tensor(value: Any) -> int:
    """Leave a tensor in a cycle that nothing else refers to."""
    import torch

    class Node:
        def __init__(self, batch: torch.Tensor) -> None:
            self.batch = batch
            self.itself = self

    Node(torch.frombuffer(value, dtype=torch.uint8))
    return 1


# --- reading and writing it -------------------------------------------------------------------


def attempts(value: Any) -> dict[str, str]:
    """Try every way to write a 7 at the start; return how each ended, as a class of exception."""
    import numpy

    def through_numpy() -> None:
        numpy.frombuffer(value, dtype=numpy.uint8)[0] = 7

    def through_flags() -> None:
        numpy.frombuffer(value, dtype=numpy.uint8).setflags(write=True)

    def through_memoryview() -> None:
        memoryview(value)[0] = 7

    ways: dict[str, Callable[[], object]] = {
        "memoryview": through_memoryview,
        "numpy": through_numpy,
        "numpy setflags": through_flags,
        "ctypes": lambda: ctypes.c_char.from_buffer(value),
        "struct": lambda: struct.pack_into("B", value, 0, 7),
        "readinto": lambda: io.BytesIO(b"\x07").readinto(value),
    }
    outcomes = {}
    for way, attempt in ways.items():
        try:
            attempt()
            outcomes[way] = "written"
        except Exception as error:
            outcomes[way] = type(error).__name__
    return outcomes


def write_by_tensor(value: Any) -> int:
    """Write a 7 at the start through a tensor, whatever torch says of it."""
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.frombuffer(value, dtype=torch.uint8)[0] = 7
    return 1


def ends_and_sum(value: Any) -> list[int]:
    """Write 1 and 3 at the two ends; return the length, both ends, and the sum of all bytes."""
    import numpy

    whole = numpy.frombuffer(value, dtype=numpy.uint8)
    whole[0], whole[-1] = 1, 3
    view = memoryview(value)
    return [len(value), view[0], view[-1], int(whole.sum(dtype=numpy.uint64))]


def address(value: Any) -> int:
    """Return where the memory is."""
    import numpy

    return int(numpy.frombuffer(value, dtype=numpy.uint8).ctypes.data)


def _lend(session: Session, params: Params) -> object:
    return eval(params.text("expression"), globals(), {"value": params.value("value")})


Session._METHODS["lend"] = _lend


def create_workload(config: Any) -> object:
    return object()
