"""A workload with hooks of its own: what JavaScript may call by name, and what it may not."""

import asyncio
import gc
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any

import torch
import torchbed

from plain import Plain


class Hooked(Plain):
    callable_hooks = frozenset(
        {"echo", "predict", "state_of", "keep", "fail", "odd", "describe"}
        | {
            "count",
            "count_async",
            "log",
            "stubborn",
            "wait",
            "large_items",
            "left_behind",
            "memory",
            "double_each",
            "sizes",
            "work",
            "note",
            "nested",
            "work_async",
            "long_c_call",
        }
    )
    kept: Any = None

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.events: list[str] = []

    def echo(self, value: Any) -> Any:
        return value

    def state_of(self, state: Any) -> Any:
        return state

    def predict(self, state: Any, value: Any) -> Any:
        x = value["x"]
        return {"y": x * 2 + state["steps"], "shape": list(x.shape)}

    def describe(self, value: torch.Tensor) -> Any:
        return {"dtype": str(value.dtype), "shape": list(value.shape), "items": value.tolist()}

    def keep(self, value: Any) -> Any:
        self.kept = value
        return None

    def fail(self, value: Any) -> Any:
        raise RuntimeError("no prediction today")

    def odd(self, value: str) -> Any:
        """Tensors that are not rows of plain memory."""
        base = torch.arange(6, dtype=torch.float32).reshape(2, 3)
        if value == "transposed":
            return base.t()
        if value == "strided":
            return base[:, ::2]
        if value == "grad":
            return base.requires_grad_()
        if value == "conjugate":
            return torch.tensor([1 + 2j]).conj()
        if value == "expanded":
            return torch.ones(1).expand(4)
        if value == "sparse":
            return {"a": [base.to_sparse()]}
        if value == "object":
            return {"a": [object()]}
        if value == "large":
            return [torch.full((100_000,), 1.5), {"n": torch.arange(50_000)}]
        raise AssertionError(value)

    # --- batches ---

    def double_each(self, value: Any) -> Any:
        """Double the rows of `x`; items named in `bad` fail alone, and `all` fails the batch."""
        x, names = value["x"], value["name"]
        self.events.append(f"batch of {len(names)}")
        if "all" in names:
            raise RuntimeError("no batch today")
        if "slow" in names:
            time.sleep(0.2)
        if "short" in names:
            return {"y": x[1:]}
        output = {"y": x * 2, "names": names, "note": None}
        failed = {
            index: ValueError(f"{name} is too long")
            for index, name in enumerate(names)
            if name.startswith("bad")
        }
        return torchbed.BatchResult(output, failed) if failed else output

    def sizes(self, state: Any, value: torch.Tensor) -> Any:
        """Return for each row how many there are."""
        return [len(value)] * len(value)

    # --- urgent calls ---

    def work(self, value: dict[str, Any]) -> Any:
        """Take `steps` steps of `seconds`, and fail at the end on demand."""
        for step in range(value["steps"]):
            time.sleep(value["seconds"])
            self.events.append(f"step {step}")
            torchbed.yield_point()
        if "fail" in value:
            raise RuntimeError(value["fail"])
        return value["steps"]

    def note(self, value: dict[str, Any]) -> Any:
        """Note a name, and return a tensor of `size`; may take `seconds` and fail."""
        self.events.append(value["name"])
        torchbed.progress(1, 1)
        time.sleep(value.get("seconds", 0))
        if "fail" in value:
            raise RuntimeError(value["fail"])
        return torch.ones(value.get("size", 1))

    def nested(self) -> list[str]:
        """Come to a yield point as an urgent call."""
        torchbed.yield_point()
        self.events.append("nested")
        return []

    def long_c_call(self) -> None:
        """Stay in C code that asks for no signals, for some tenths of a second."""
        sum(itertools.repeat(0, 60_000_000))

    async def work_async(self, value: dict[str, Any]) -> int:
        """Like work, in the event loop."""
        self.work(value)
        await asyncio.sleep(0)
        return 1

    # --- streams ---

    def count(self, value: dict[str, Any]) -> Iterator[Any]:
        """Yield 0 to `to`, or fail at `fail`; each item may take `seconds`."""
        self.events.append("begin")
        try:
            for item in range(value["to"]):
                if item == value.get("fail"):
                    raise RuntimeError(f"no item {item}")
                if "seconds" in value:
                    time.sleep(value["seconds"])
                self.events.append(f"item {item}")
                yield value["x"] + item if "x" in value else item
        finally:
            self.events.append("end")

    async def count_async(self, value: dict[str, Any]) -> AsyncIterator[Any]:
        """Like count."""
        self.events.append("begin")
        try:
            for item in range(value["to"]):
                if item == value.get("fail"):
                    raise RuntimeError(f"no item {item}")
                await asyncio.sleep(value.get("seconds", 0))
                self.events.append(f"item {item}")
                yield value["x"] + item if "x" in value else item
        finally:
            await asyncio.sleep(0)
            self.events.append("end")

    def log(self) -> list[str]:
        """Return what has happened since the last call."""
        events, self.events = self.events, []
        return events

    def stubborn(self) -> Iterator[int]:
        """Yield where a generator must end."""
        try:
            yield 1
        finally:
            yield 2

    def wait(self) -> Iterator[int]:
        """Never yield."""
        try:
            while True:
                time.sleep(0.01)
        finally:
            self.events.append("end")
        yield 1

    def left_behind(self) -> dict[str, int]:
        """Count what the host and the interpreter still hold of streams."""
        from torchbed._host.host import _host

        gc.collect()
        sessions = _host._sessions.values()
        own = ("count", "count_async")
        return {
            "streams": sum(len(session._streams) for session in sessions),
            "results": sum(len(session._results) for session in sessions),
            "generators": sum(
                1
                for item in gc.get_objects()
                if type(item) in (GeneratorType, AsyncGeneratorType) and item.__name__ in own
            ),
        }

    def memory(self) -> dict[str, int]:
        """Count Python's objects, and the bytes of the process that are in memory, on Linux."""
        gc.collect()
        resident = 0
        if sys.platform == "linux":
            with open("/proc/self/statm") as file:
                resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"objects": len(gc.get_objects()), "resident": resident}

    def large_items(self) -> Iterator[Any]:
        """Yield one tensor, changed in place between two items."""
        tensor = torch.zeros(50_000)
        for _ in range(3):
            tensor += 1
            yield {"x": tensor, "n": int(tensor[0])}

    @torchbed.callable_hook
    def decorated(self) -> int:
        return 7

    def hidden(self, value: Any) -> Any:
        return value


def create_workload(config: Any) -> Hooked:
    return Hooked(config)
