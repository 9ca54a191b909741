"""An aborted call: a signal handler raises Cancelled, wherever the call is."""

import ctypes
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from conftest import Caller, Project

import torchbed
from torchbed._host import host
from torchbed._host.failures import Failure
from torchbed._host.interrupting import interrupts

Open = Callable[..., Caller]


urgency = 0


@pytest.fixture(autouse=True)
def interrupt_on_signal() -> Iterator[None]:
    global urgency
    hook = sys.unraisablehook
    before = signal.signal(signal.SIGUSR1, interrupts.on_signal)
    interrupts.connect(lambda: urgency)
    yield
    urgency = 0
    interrupts.connect(lambda: 0)
    signal.signal(signal.SIGUSR1, before)
    sys.unraisablehook = hook


def interrupt(thread: int) -> None:
    """Cancel what runs, over and over, as the bridge does."""
    global urgency
    urgency = 1
    while interrupts._is_open:
        signal.pthread_kill(thread, signal.SIGUSR1)
        time.sleep(0.005)
    urgency = 0


def raise_cancelled(thread: int) -> None:
    target = ctypes.c_ulong(thread)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(host.Cancelled))


class Busy(threading.Event):
    """The config of workloads here. A hook sets it when it is busy, and is cancelled soon after."""

    def cancel(self, send: Callable[[int], None] = interrupt) -> threading.Thread:
        main = threading.get_ident()

        def wait_and_send() -> None:
            assert self.wait(30)
            time.sleep(0.05)
            send(main)

        self.clear()
        thread = threading.Thread(target=wait_and_send)
        thread.start()
        return thread


@pytest.fixture
def busy() -> Busy:
    return Busy()


def cancelled_failure(
    caller: Caller, busy: Busy, model: str, send: Callable[[int], None] = interrupt
) -> Failure:
    """Cancel train_window, which would take 100 seconds; return its failure."""
    began = time.monotonic()
    thread = busy.cancel(send)
    failure = caller.failure("train_window", model_id=model, batches=[])
    thread.join()
    assert time.monotonic() - began < 20
    return failure


def test_cancelled_is_public_is_an_interrupt_and_no_exception() -> None:
    assert torchbed.Cancelled is host.Cancelled
    assert issubclass(torchbed.Cancelled, KeyboardInterrupt)
    assert not issubclass(torchbed.Cancelled, Exception)


def test_a_cancel_ends_a_busy_hook_as_an_abort_and_the_model_stays(
    open_workload: Open, busy: Busy
) -> None:
    caller = open_workload(
        """
        import time
        class W:
            def train_window(self, state, batches):
                end = time.monotonic() + 100
                self.config.set()
                while time.monotonic() < end:
                    state["weights"][0] += 1
    """,
        busy,
    )
    model = caller.new_model()
    failure = cancelled_failure(caller, busy, model)
    assert failure["code"] == "ABORT_ERR"
    assert failure["message"] == "The call was cancelled"
    assert failure["python_type"] == "torchbed.Cancelled"
    assert "in train_window" in failure["traceback"]
    assert caller.ok("evaluate", model_id=model, split="Test") == {"metrics": {}}


def test_except_exception_does_not_swallow_a_cancel_and_finally_runs(
    open_workload: Open, busy: Busy
) -> None:
    caller = open_workload(
        """
        import time
        class W:
            def train_window(self, state, batches):
                try:
                    end = time.monotonic() + 100
                    self.config.set()
                    while time.monotonic() < end:
                        try: time.sleep(0.001)
                        except Exception: pass
                finally:
                    state["weights"][0] = 7
            def evaluate(self, state, split): return {"weight": state["weights"][0]}
    """,
        busy,
    )
    model = caller.new_model()
    failure = cancelled_failure(caller, busy, model)
    assert failure["code"] == "ABORT_ERR"
    assert caller.ok("evaluate", model_id=model, split="Test")["metrics"] == {"weight": 7}


def test_a_hook_that_ends_early_by_itself_still_answers(open_workload: Open, busy: Busy) -> None:
    caller = open_workload(
        """
        import time
        class W:
            def train_window(self, state, batches):
                end = time.monotonic() + 100
                try:
                    self.config.set()
                    while time.monotonic() < end: time.sleep(0.001)
                except KeyboardInterrupt:
                    return {"stopped": True}
    """,
        busy,
    )
    model = caller.new_model()
    thread = busy.cancel()
    result = caller.ok("train_window", model_id=model, batches=[])
    thread.join()
    assert result == {"metrics": {"stopped": True}}


WAITS = {
    "a sleep": "await asyncio.sleep(100)",
    "gathered children": "await asyncio.gather(asyncio.sleep(100), spin(), spin())",
    "children whose exceptions are returned": (
        "await asyncio.gather(spin(), spin(), return_exceptions=True)"
    ),
    "a task group": (
        "async with asyncio.TaskGroup() as group:\n"
        "            group.create_task(spin()); group.create_task(asyncio.sleep(100))"
    ),
    "a background task that is the one hit": (
        "self.task = asyncio.create_task(spin())\n        await asyncio.sleep(100)"
    ),
    "callbacks": (
        "loop = asyncio.get_running_loop()\n"
        "        def again(): running and loop.call_soon(again)\n"
        "        again()\n        await asyncio.sleep(100)"
    ),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_a_cancel_reaches_an_async_hook_and_the_loop_is_usable_again(
    open_workload: Open, busy: Busy, wait: str
) -> None:
    caller = open_workload(
        f"""
import asyncio, time
running = False
async def spin():
    end = time.monotonic() + 100
    while running and time.monotonic() < end:
        await asyncio.sleep(0)
class W:
    def init_model(self, device): return {{"cleaned": 0}}
    async def train_window(self, state, batches):
      global running
      running = True
      asyncio.get_running_loop().call_soon(self.config.set)
      try:
        {wait}
      finally:
        running = False
        await asyncio.sleep(0.01)
        state["cleaned"] += 1
    async def evaluate(self, state, split):
        await asyncio.sleep(0.01)
        return state
""",
        busy,
    )
    model = caller.new_model()
    for _ in range(3):
        failure = cancelled_failure(caller, busy, model)
        assert failure["code"] == "ABORT_ERR", failure
    result = caller.ok("evaluate", model_id=model, split="Test")
    assert result == {"metrics": {"cleaned": 3}}


def test_an_exception_that_hits_the_waiting_loop_itself_cancels_the_hook_too(
    open_workload: Open, busy: Busy
) -> None:
    caller = open_workload(
        """
        import asyncio
        class W:
            async def train_window(self, state, batches):
                try:
                    self.config.set()
                    await asyncio.sleep(100)
                finally:
                    await asyncio.sleep(0.01)
                    state["weights"][0] = 7
            async def evaluate(self, state, split): return {"weight": state["weights"][0]}
    """,
        busy,
    )
    model = caller.new_model()
    failure = cancelled_failure(caller, busy, model, raise_cancelled)
    assert failure["code"] == "ABORT_ERR"
    assert caller.ok("evaluate", model_id=model, split="Test")["metrics"] == {"weight": 7}


def test_an_async_hook_that_ends_early_by_itself_still_answers(
    open_workload: Open, busy: Busy
) -> None:
    caller = open_workload(
        """
        import asyncio
        class W:
            async def train_window(self, state, batches):
                try:
                    self.config.set()
                    await asyncio.sleep(100)
                except asyncio.CancelledError: return {"stopped": True}
    """,
        busy,
    )
    model = caller.new_model()
    thread = busy.cancel()
    result = caller.ok("train_window", model_id=model, batches=[])
    thread.join()
    assert result == {"metrics": {"stopped": True}}


def test_a_task_that_ignores_being_cancelled_is_given_up_with_its_loop(
    open_workload: Open, busy: Busy, caplog: pytest.LogCaptureFixture
) -> None:
    caller = open_workload(
        """
        import asyncio
        class W:
            async def train_window(self, state, batches):
                for _ in range(1000):
                    try:
                        self.config.set()
                        await asyncio.sleep(0.05)
                    except asyncio.CancelledError: pass
            async def evaluate(self, state, split):
                await asyncio.sleep(0.01)
                return {"tasks": len(asyncio.all_tasks())}
    """,
        busy,
    )
    model = caller.new_model()
    failure = cancelled_failure(caller, busy, model)
    assert failure["code"] == "ABORT_ERR"
    assert caller.ok("evaluate", model_id=model, split="Test") == {"metrics": {"tasks": 1}}
    gc.collect()  # now, so that what asyncio says of the lost task is not blamed on another test


def test_plain_python_never_asks_to_stop() -> None:
    assert torchbed.should_stop() is False


# --- every place where a cancel may arrive ---


class CancelAtLine:
    """Raises Cancelled before the n-th line of this package, or of `also`, that runs."""

    def __init__(self, n: int, also: str) -> None:
        self.left = n
        self.also = also
        self.fired = False

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        filename = frame.f_code.co_filename
        ours = filename.startswith(str(Path(host.__file__).parent)) or self.also in filename
        # Streams are flushed when the call has left, and nothing is raised any more.
        ours = ours and not filename.endswith("output.py")
        # The bridge itself takes a cancel that comes before dispatch has begun to guard.
        if not ours or frame.f_code is host.dispatch.__code__ or self.fired:
            return None
        if event == "line":
            self.left -= 1
            if self.left < 0:
                self.fired = True
                raise host.Cancelled
        return self


CALLS = {
    "a new model": ("init_model", {"device": "cpu"}),
    "training": ("train_window", {"model_id": "m1", "batches": []}),
    "async evaluation": ("evaluate", {"model_id": "m1", "split": "Test"}),
    "a hook that raises": ("evaluate", {"model_id": "m1", "split": "Validation"}),
    "a refused metric": ("evaluate", {"model_id": "m1", "split": "Train"}),
    "an unknown method": ("nope", {}),
}


@pytest.mark.parametrize(("method", "params"), CALLS.values(), ids=CALLS.keys())
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_cancel_at_any_line_is_an_abort_that_leaves_no_model_behind(
    open_workload: Open, method: str, params: dict[str, object]
) -> None:
    caller = open_workload("""
        import asyncio
        class W:
            async def evaluate(self, state, split):
                await asyncio.sleep(0)
                if split == "Validation": raise ValueError
                return {"loss": None if split == "Train" else 0.5}
    """)
    caller.new_model()
    n = 0
    while True:
        tracer = CancelAtLine(n, also="workload_")
        sys.settrace(tracer)
        try:
            answered, content = host.dispatch(caller.session, method, params)
        finally:
            sys.settrace(None)
        if not tracer.fired:
            break
        assert not answered
        assert content["code"] == "ABORT_ERR", (n, content)  # type: ignore[index]
        n += 1
    assert n > 5
    expected = 1 if method == "init_model" else 0
    session = host._host.session(caller.session)
    assert len(session._models) == 1 + expected
    answered, _ = host.dispatch(caller.session, "evaluate", {"model_id": "m1", "split": "Test"})
    assert answered
    gc.collect()  # now, while the warnings of lost coroutines are ignored


def test_a_cancel_at_any_line_of_opening_leaves_no_session_behind(project: Project) -> None:
    project.write("cancelled_opening", "class W:\n    def __init__(self, config): pass\n")
    before = dict(host._host._sessions)
    n = 0
    while True:
        tracer = CancelAtLine(n, also="cancelled_opening")
        sys.settrace(tracer)
        try:
            answered, content = project.open("cancelled_opening:W")
        finally:
            sys.settrace(None)
        if not tracer.fired:
            break
        assert not answered
        assert content["code"] == "ABORT_ERR", (n, content)
        assert host._host._sessions == before
        n += 1
    assert n > 20
    assert answered
    host.dispatch(host.HOST_SESSION, "close_workload", {"session": content["session"]})
