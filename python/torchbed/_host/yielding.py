"""Where a running call lets urgent calls go first."""

import sys
from collections.abc import Callable

try:
    from _torchbed_bridge import has_urgent as _bridge_has_urgent
    from _torchbed_bridge import run_urgent as _bridge_run_urgent
except ModuleNotFoundError:

    def _bridge_has_urgent() -> bool:
        return False

    def _bridge_run_urgent() -> None:
        pass


_has_urgent = _bridge_has_urgent
_run_urgent = _bridge_run_urgent


def _run(run: Callable[[], None]) -> None:
    run()


_set_aside: Callable[[Callable[[], None]], None] = _run


def yield_point() -> None:
    """Let urgent calls that wait run here and now, inside the running call; cheap if none does.

    Call it where the model is whole, such as between two steps, and outside of contexts that the
    urgent hooks must not be in, such as torch.autocast or torch.no_grad. Those that wait now run,
    one after the other; their failures are their callers'. What they change is changed when this
    returns: random generators, a model's train() or eval().

    Does nothing on other threads than the hook's, inside a running event loop, inside an urgent
    call, and under plain python, so that workloads run there.
    """
    if _has_urgent() and not _in_event_loop():
        _set_aside(_run_urgent)


def set_calls_aside_by(set_aside: Callable[[Callable[[], None]], None]) -> None:
    """set_aside: runs what it is given, and leaves what belongs to the running call as it was."""
    global _set_aside
    _set_aside = set_aside


def answer_yield_point(has_urgent: Callable[[], bool], run_urgent: Callable[[], None]) -> None:
    """Let yield_point() use these, where it is not the bridge that knows."""
    global _has_urgent, _run_urgent
    _has_urgent, _run_urgent = has_urgent, run_urgent


def _in_event_loop() -> bool:
    # A hook that awaits could not run its own loop inside another.
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
