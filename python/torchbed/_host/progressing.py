"""How a running call tells how far it is."""

from collections.abc import Callable

from .failures import CallFailed
from .metrics import plain_metrics

MetricValue = bool | int | float | str
Tell = Callable[[int, int | None, dict[str, MetricValue]], None]

try:
    from _torchbed_bridge import progress as _bridge_tell
except ModuleNotFoundError:

    def _bridge_tell(step: int, total: int | None, metrics: dict[str, MetricValue]) -> None:
        pass


_tell: Tell = _bridge_tell


def progress(step: int, total: int | None = None, **metrics: MetricValue) -> None:
    """Report the running call's progress to its listener; does nothing without one.

    step: how many steps are done, 0 or more. total: how many there are, if known. metrics: as a
    hook returns them, such as loss=0.5. Call it as often as you like, once a step: the listener
    gets the latest, some fifty times a second at most, and the last one of a call always. Any
    thread.

    Raises ValueError for a step or total below zero and for a metric of another type, TypeError for
    a step or total that is no int. Does nothing under plain python, so that workloads run there.
    """
    for name, value in (("step", step), ("total", 0 if total is None else total)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"progress: {name} must be an int, got {type(value).__name__}")
        if not 0 <= value < 2**53:
            raise ValueError(f"progress: {name} must be from 0 to 2**53 - 1, got {value}")
    try:
        plain = plain_metrics(metrics, "progress")
    except CallFailed as error:
        raise ValueError(str(error)) from None
    _tell(step, total, plain)


def tell_progress(tell: Tell) -> None:
    """Let progress() call tell(), where it is not the bridge that listens."""
    global _tell
    _tell = tell
