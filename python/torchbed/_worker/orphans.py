"""Ends this process with the one that started it, however that ends."""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time

ORPHAN_GRACE_SECONDS = 2.0
"""How long a call may take to unwind once nothing waits for its answer."""

_PR_SET_PDEATHSIG = 1


def end_with_host(connection: socket.socket) -> None:
    """Watch the host from now on. To be called once, on the main thread.

    On Linux the kernel kills this process when the thread that started it ends, in the middle of C
    code too. Everywhere a thread notices the end of the connection: the running call is
    interrupted, and the process leaves ORPHAN_GRACE_SECONDS later if it has not ended by itself.
    """
    if sys.platform == "linux":
        with contextlib.suppress(Exception):  # no ctypes, or no prctl: the thread remains
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(
        target=_watch, args=(connection,), name="torchbed-orphans", daemon=True
    ).start()


def _watch(connection: socket.socket) -> None:
    # Cancels are for the main thread: here a signal would not wake what the call waits for.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Errors and hang-ups are always reported; what there is to read is the main thread's business.
    poll = select.poll()
    poll.register(connection, getattr(select, "POLLRDHUP", 0))
    poll.poll()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORPHAN_GRACE_SECONDS)
    os._exit(1)
