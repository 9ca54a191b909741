"""The mark of methods that JavaScript may call by name, beside the workload's `callable_hooks`."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__torchbed_callable__"


def callable_hook(method: F) -> F:
    """Let `project.call(model, name, input)` call this method of a workload."""
    setattr(method, _MARK, True)
    return method


def is_callable_hook(method: object) -> bool:
    """Whether the method was decorated."""
    return getattr(method, _MARK, False) is True
