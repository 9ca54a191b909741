"""Ends a running call as Ctrl-C does: Cancelled out of a signal handler, wherever the call is.

A handler runs between two bytecodes, out of a system call that the signal ended, and where C code
asks PyErr_CheckSignals. It is called again and again until the call has left, and decides each time
whether to raise: once is enough as long as Cancelled is on its way, which is when the hook cleans
up; not when it was lost in a finalizer or swallowed by `except: pass`.
"""

import sys
import time
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from .cancelling import Cancelled

KEPT_SECONDS = 0.5
"""When Cancelled is raised again that somebody keeps, but does not handle."""

LEAVING_SECONDS = 0.5
"""How long a hook may clean up before Cancelled is raised again, when the process is leaving."""

FINALIZER_SECONDS = 0.03
"""How long a finalizer may take to end before it is ended, with an exception that is lost."""

MAX_CONTEXTS = 64
"""How far an exception is followed through those that were raised while it was handled."""

LEAVING = 2


class Interrupts:
    """Decides whether an interrupt raises Cancelled into the running call. One thread only."""

    def __init__(self) -> None:
        self._is_open = False
        self._raised: weakref.ref[Cancelled] | None = None
        self._raised_at = 0.0
        self._unable: set[CodeType] = set()
        self._finalizer = 0
        self._finalizer_until = 0.0
        self._previous_trace: Any = None
        self._ask_loop: Callable[[FrameType | None], bool] = lambda frame: False
        self._urgency: Callable[[], int] = lambda: 0
        self._tell_ending: Callable[[bool], object] = lambda is_ending: None

    def connect(
        self,
        urgency: Callable[[], int],
        tell_ending: Callable[[bool], object] = lambda is_ending: None,
    ) -> None:
        """urgency: 0 to go on, 1 to end the running call, 2 when the process is leaving, too.

        tell_ending: is told whether Cancelled is on its way.
        """
        self._urgency = urgency
        self._tell_ending = tell_ending
        previous = sys.unraisablehook

        def note_lost(unraisable: Any) -> None:
            if isinstance(unraisable.exc_value, Cancelled):
                self._note_unable(unraisable.exc_traceback)
            else:
                previous(unraisable)

        sys.unraisablehook = note_lost

    def ask_loop(self, ask: Callable[[FrameType | None], bool]) -> None:
        """ask: lets the event loop end the call; False when it is not at work at that frame."""
        self._ask_loop = ask

    def begin(self) -> None:
        """A call begins: from now on it can be interrupted. Raises Cancelled if it is to end."""
        self._raised = None
        self._unable.clear()
        self._is_open = True
        if self._urgency():
            raise self._new()

    def end(self) -> None:
        """The call has left, or Cancelled has arrived where it ends the call: nothing is raised."""
        self._is_open = False
        if sys.gettrace() is _trace_nothing:
            sys.settrace(self._previous_trace)

    def set_aside(self, run: Callable[[], None]) -> None:
        """Run other calls, which begin and end, inside this one."""
        if not self._is_open or sys.gettrace() is _trace_nothing:
            return  # Cancelled is on its way
        self._is_open = False
        kept = (self._raised, self._raised_at, self._unable, self._finalizer)
        self._unable = set()
        try:
            run()
        finally:
            self._raised, self._raised_at, self._unable, self._finalizer = kept
            self._is_open = True

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle the signal; `signal.signal` takes this."""
        if self._is_due() and not self._ask_loop(frame) and not self._defer(frame):
            raise self._new()

    def _is_due(self) -> bool:
        if not self._is_open:
            return False
        urgency = self._urgency()
        if not urgency:
            return False
        raised = None if self._raised is None else self._raised()
        if raised is None:
            return True
        seconds = time.monotonic() - self._raised_at
        if _is_handled(raised):
            return urgency == LEAVING and seconds > LEAVING_SECONDS
        return seconds > KEPT_SECONDS

    def _new(self) -> Cancelled:
        error = Cancelled()
        self._raised = weakref.ref(error, self._on_gone)
        self._raised_at = time.monotonic()
        self._tell_ending(True)
        return error

    def _on_gone(self, raised: weakref.ref[Cancelled]) -> None:
        if self._is_open and raised is self._raised:
            self._tell_ending(False)

    # --- where exceptions go nowhere -----------------------------------------------------------

    def _note_unable(self, traceback: Any) -> None:
        if traceback is not None and traceback.tb_frame.f_code.co_filename != __file__:
            self._unable.add(traceback.tb_frame.f_code)

    def _defer(self, frame: FrameType | None) -> bool:
        """Put off what a finalizer would lose: it is raised at the next step of what it runs in."""
        finalizer = self._finalizer_around(frame)
        if finalizer is None or finalizer.f_back is None:
            return False
        now = time.monotonic()
        if self._finalizer != id(finalizer):
            self._finalizer = id(finalizer)
            self._finalizer_until = now + FINALIZER_SECONDS
            self._raise_in(finalizer.f_back)
        return now < self._finalizer_until

    def _finalizer_around(self, frame: FrameType | None) -> FrameType | None:
        outermost = None
        while frame is not None:
            if frame.f_code.co_name == "__del__" or frame.f_code in self._unable:
                outermost = frame
            frame = frame.f_back
        return outermost

    def _raise_in(self, target: FrameType) -> None:
        previous = sys.gettrace()
        if previous is not _trace_nothing:
            self._previous_trace = previous
        before = target.f_trace

        def step(frame: FrameType, event: str, arg: object) -> Any:
            sys.settrace(self._previous_trace)
            frame.f_trace = before
            frame.f_trace_opcodes = False
            self._finalizer = 0
            if self._is_due():
                raise self._new()

        target.f_trace = step
        target.f_trace_opcodes = True
        sys.settrace(_trace_nothing)


def _trace_nothing(frame: FrameType, event: str, arg: object) -> None:
    return None


def _is_handled(error: BaseException) -> bool:
    """Whether the code that runs is in an `except`, `finally` or `with` that the error passes."""
    link = sys.exc_info()[1]
    for _ in range(MAX_CONTEXTS):
        if link is None or link is error:
            break
        link = link.__context__
    return link is error


interrupts = Interrupts()
"""Of this interpreter, which answers one call at a time."""
