"""What the embedding bridge calls, always on the interpreter thread.

Session 0 is the host itself; every other session is an open workload.
"""

import contextlib
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from .cancelling import Cancelled, should_stop
from .exiting import run_exit_functions
from .failures import Failure, describe, forget, quoted, refused
from .interrupting import interrupts
from .loading import load_workload
from .output import (
    flush_standard_streams,
    redirect_standard_streams,
    share_standard_descriptors,
)
from .params import Params
from .session import Session
from .signals import share_signals
from .yielding import set_calls_aside_by

if TYPE_CHECKING:
    from .awaiting import Awaiter

try:
    from _torchbed_bridge import count_models as _tell_models
except ModuleNotFoundError:

    def _tell_models(number: int) -> None:
        pass


__all__ = ["Cancelled", "dispatch", "release", "shutdown", "start"]

T = TypeVar("T")

HOST_SESSION = 0

WHOLE_SESSION = 0
"""In place of a model's number in release()."""


class Host:
    """The open workloads of this interpreter, and the event loop they share."""

    def __init__(self) -> None:
        self._awaiter: Awaiter | None = None
        self._sessions: dict[int, Session] = {}
        self._opened = 0
        self.made: list[int] = []
        """Numbers of the sessions that the running call has opened, for undo()."""

    def session(self, number: int) -> Session:
        """Return an open workload. Fails with ERR_RUNTIME_CLOSED."""
        session = self._sessions.get(number)
        if session is None:
            raise refused(
                "ERR_RUNTIME_CLOSED",
                f"workload session {quoted(number)} is closed or was never opened; "
                "open the workload again",
                "RuntimeError",
            )
        return session

    def sessions(self) -> Collection[Session]:
        """Return all open workloads."""
        return self._sessions.values()

    def call(self, method: str, params: object) -> object:
        """Answer a method of session 0."""
        if method == "open_workload":
            return self._open_workload(Params(method, params))
        if method == "close_workload":
            self._close(Params(method, params).integer("session"))
            return None
        if method == "info":
            return info()
        raise refused("ERR_UNKNOWN_METHOD", f"unknown method {method!r}", "ValueError")

    def begin(self) -> None:
        """Note from now on what a call opens."""
        self.made = []

    def undo(self) -> None:
        """Close the session that the call opened, for when its answer does not reach anyone."""
        for number in self.made:
            self._close(number)

    def release(self, session: int, number: int) -> None:
        """Drop a model, or with number 0 the session; unknown ones are ignored."""
        if number == WHOLE_SESSION:
            self._close(session)
        elif session in self._sessions:
            self._sessions[session].release(number)

    def interrupt(self, frame: FrameType | None) -> bool:
        """Let the event loop end the running call; False when it is not at work just now."""
        return self._awaiter is not None and self._awaiter.interrupt(frame)

    def close(self) -> None:
        """Drop all sessions and the event loop."""
        for number in list(self._sessions):
            self._close(number)
        if self._awaiter is not None:
            self._awaiter.close()

    def _open_workload(self, params: Params) -> object:
        workload = load_workload(
            params.text("factory"),
            params.value("config"),
            params.texts("module_search_roots"),
            params.text_map("env"),
            self._await_result,
        )
        session = Session(workload, self._await_result, self._count_models)
        self._opened += 1
        self.made.append(self._opened)
        self._sessions[self._opened] = session
        return {"session": self._opened, "workload_name": session.workload_name}

    def _await_result(self, awaitable: Awaitable[T]) -> T:
        if self._awaiter is None:
            # asyncio takes longer to import than all the rest, and most workloads do without.
            from .awaiting import Awaiter

            self._awaiter = Awaiter()
        return self._awaiter.result(awaitable)

    def _count_models(self) -> None:
        _tell_models(sum(session.model_count for session in self._sessions.values()))

    def _close(self, number: int) -> None:
        session = self._sessions.pop(number, None)
        if session is not None:
            session.close()


_host = Host()
interrupts.ask_loop(_host.interrupt)
_started = False
_is_on_terminal = False
_is_forked_child = False


def start() -> None:
    """Prepare this interpreter for living inside another process. A second call does nothing."""
    global _started, _is_on_terminal
    if _started:
        return
    _started = True
    from _torchbed_bridge import (
        hold_signal,
        interrupt_signal,
        set_ending,
        set_stack_pipe,
        share_signal,
        stack_signal,
        urgency,
        write,
    )

    redirect_standard_streams(write)
    _is_on_terminal = share_standard_descriptors()
    interrupts.connect(urgency, set_ending)
    if stack_signal():
        set_stack_pipe(_write_stack_at(stack_signal()))
    share_signals(
        hold_signal, share_signal, interrupt_signal(), interrupts.on_signal, stack_signal()
    )
    os.register_at_fork(after_in_child=_note_fork)
    prefer_spawn()


def _write_stack_at(number: int) -> int:
    """Let this thread write its stack at a signal, also inside C code. Returns where to read it."""
    import faulthandler

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    faulthandler.register(number, file=writing, all_threads=False)
    return reading


def dispatch(session: int, method: str, params: object) -> tuple[bool, object]:
    """Answer one call: `(True, result)` or `(False, Failure)`. Never raises.

    What a failed call made, a model or a session, is dropped again. No reference to an exception
    or to its frames is kept.
    """
    try:
        answer = _dispatch(session, method, params)
        if _is_forked_child:
            _leave_forked_child()
        flush_standard_streams()
        return answer
    except BaseException as late:
        # Only a cancel can come here: one that arrived while another failure was being told.
        forget(late)
        return False, _LATE_CANCEL.copy()


def _set_aside(run: Callable[[], None]) -> None:
    """Let other calls run inside the running one, which goes on as if there had been none."""
    targets: list[Host | Session] = [_host, *_host.sessions()]
    kept = [(target, target.made) for target in targets]
    try:
        interrupts.set_aside(run)
    finally:
        for target, made in kept:
            target.made = made


set_calls_aside_by(_set_aside)


def _note_fork() -> None:
    global _is_forked_child
    _is_forked_child = True


def _leave_forked_child() -> None:
    """End a child that a hook forked and let return: nothing here could take its answer."""
    with contextlib.suppress(OSError):
        os.write(2, _FORKED_CHILD.encode())
    os._exit(1)


def release(pairs: Iterable[tuple[int, int]]) -> None:
    """Drop model `m<n>` of a session, for each (session, n); with n = 0 the session itself.

    Unknown ones are ignored. Never raises.
    """
    with contextlib.suppress(BaseException):
        for pair in pairs:
            with contextlib.suppress(BaseException):
                _host.release(*pair)


def shutdown() -> None:
    """Do what Python does at exit: end threads, run `atexit` functions, flush. Never raises.

    Takes at most CLOSE_SECONDS for the event loop and THREAD_GRACE_SECONDS for threads, and as long
    as exit functions take. Flushes at both ends, as the process may not wait for the middle.
    """
    for step in (flush_standard_streams, _host.close, run_exit_functions, flush_standard_streams):
        with contextlib.suppress(BaseException):
            step()


def info() -> dict[str, object]:
    """Return facts about this Python. Imports nothing."""
    torch = sys.modules.get("torch")
    return {
        "python_version": platform.python_version(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "torch_version": _installed_version("torch"),
        "torch_imported": torch is not None,
        "numpy_version": _installed_version("numpy"),
        "safetensors_version": _installed_version("safetensors"),
    }


_FORKED_CHILD = (
    "torchbed: a child process that a hook forked returned from the hook; it ends here. End it by "
    "os._exit(), or use subprocess or multiprocessing with spawn\n"
)

_LATE_CANCEL: Failure = {
    "code": "ABORT_ERR",
    "message": "The call was cancelled",
    "python_type": "torchbed.Cancelled",
    "traceback": "torchbed.Cancelled\n",
}


def _dispatch(session: int, method: str, params: object) -> tuple[bool, object]:
    target: Host | Session | None = None
    has_begun = False
    try:
        if _is_on_terminal:
            share_standard_descriptors()
        target = _host if session == HOST_SESSION else _host.session(session)
        target.begin()
        has_begun = True
        interrupts.begin()
        result = target.call(method, params)
        interrupts.end()
        if should_stop():
            # The hook ended early because it asked, or just before the exception came.
            raise Cancelled
        return True, result
    except BaseException as error:
        interrupts.end()
        if target is not None and has_begun:
            target.undo()
        failure = describe(error, "ERR_PYTHON_HOST")
        forget(error)
        return False, failure


def prefer_spawn() -> None:
    """Make spawn the default start method: a fork of a process with the host's threads may hang.

    Only the default changes, so that user code may still call set_start_method itself, once.
    """
    import multiprocessing
    import multiprocessing.context

    if multiprocessing.get_start_method(allow_none=True) is not None:
        return
    default: Any = getattr(multiprocessing.context, "_default_context", None)
    if hasattr(default, "_default_context"):
        default._default_context = multiprocessing.get_context("spawn")
    else:
        multiprocessing.set_start_method("spawn")


def _installed_version(package: str) -> str | None:
    import importlib.metadata  # slow to import, and only needed here

    module = sys.modules.get(package)
    version = getattr(module, "__version__", None)
    if version is None:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(package)
    return None if version is None else str(version)
