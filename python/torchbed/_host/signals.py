"""Python's signal handlers in a process whose signals belong to somebody else.

The host's event loop has its own handlers. Without SIGCHLD, which torch takes for the worker
processes of a DataLoader, it would never again learn that a child process has ended.
"""

import errno
import os
import signal
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any, cast

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


def share_signals(
    hold: Callable[[int], None],
    share: Callable[[int], None],
    own: int,
    on_own: Callable[[int, FrameType | None], None],
    reserved: int = 0,
) -> None:
    """Let signal.signal() add a handler to the host's instead of taking its place.

    Both are called then. Where the host has none, Python's handler stands alone; except for SIGINT,
    SIGTERM, SIGHUP and SIGQUIT, which end the process then, as the host's users expect, and never
    call it.

    hold, share: are called before and after a handler is changed, with the signal's number.
    own, on_own: a signal that is ours from now on, and its handler.
    reserved: another one that is ours.
    """
    original = signal.signal

    @wraps(original)
    def shared(signalnum: int, handler: Handler) -> Handler:
        number = int(signalnum)
        if number == reserved or (number == own and handler is not on_own):
            # As for SIGKILL, so that code which goes through all signals is ready for it.
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        hold(number)
        try:
            return original(signalnum, handler)
        finally:
            share(number)

    shared(own, on_own)
    signal.signal = cast(Any, shared)
