"""What Python does when a process ends, without ending: the interpreter is never finalised."""

import atexit
import contextlib
import sys
import threading
import time

THREAD_GRACE_SECONDS = 1.0
"""How long thread pools and non-daemon threads may take to end, all together. Python itself
would wait indefinitely; the host has a process to end."""


def run_exit_functions() -> None:
    """Let thread pools and threads end, then run what was registered with `atexit`. Never raises.

    The order is Python's own. Errors in exit functions are printed to sys.stderr by Python. They
    run on this thread, as they may rely on it, so one that hangs hangs this function.
    """
    deadline = time.monotonic() + THREAD_GRACE_SECONDS
    with contextlib.suppress(BaseException):
        _end_threads(deadline)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()


def _end_threads(deadline: float) -> None:
    # concurrent.futures registers here, not with atexit. Its functions wait for running jobs, so
    # they get a separate thread, which may be left behind.
    registered = getattr(threading, "_threading_atexits", [])
    ending = list(reversed(registered))
    registered.clear()

    def end() -> None:
        for function in ending:
            try:
                function()
            except BaseException:
                sys.excepthook(*sys.exc_info())

    if ending:
        helper = threading.Thread(target=end, name="torchbed-exit", daemon=True)
        helper.start()
        helper.join(max(0.0, deadline - time.monotonic()))
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
