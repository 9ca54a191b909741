"""How a running call learns that it should end: by an exception, or by asking."""

from collections.abc import Callable

try:
    from _torchbed_bridge import should_stop as _asked_to_stop
except ModuleNotFoundError:

    def _asked_to_stop() -> bool:
        return False


class Cancelled(KeyboardInterrupt):
    """Raised inside a hook when its call is aborted, wherever Ctrl-C would be.

    A cancelled call is an interrupt, hence the base class: `except Exception` lets it pass, and
    code that is ready for Ctrl-C (asyncio, subprocess, training loops) is ready for this too.
    Clean up and let it go on: once it is gone, and the call is not, another one is raised. C code
    that asks for no signals is interrupted only when it returns.
    """

    # The public name, which is what people read in tracebacks.
    __module__ = "torchbed"


def should_stop() -> bool:
    """Whether the running call was asked to stop; poll it between steps. Cheap; any thread.

    Always False under plain python, so that workloads run there too.
    """
    return _asked_to_stop()


def answer_should_stop(ask: Callable[[], bool]) -> None:
    """Let should_stop() return ask(), where it is not the bridge that knows."""
    global _asked_to_stop
    _asked_to_stop = ask
