"""Environment variables of workloads. One process has one environment, and workloads share it."""

import os
from collections.abc import Mapping

from .failures import quoted, refused

_given: dict[str, str] = {}
"""What the workloads of this process have asked for so far."""


def set_environment(env: Mapping[str, str]) -> None:
    """Put variables in os.environ; they stay when the workload fails to load.

    Fails with ERR_RUNTIME_CONFLICT when another workload was given another value, or when Python
    itself reads the variable, which it did at its start. Fails with ERR_PROTOCOL when the system
    refuses a name or value.
    """
    for name, value in env.items():
        if _given.get(name, value) != value:
            raise _conflict(name, value, f"another workload was given {quoted(_given[name])}")
        if name.startswith("PYTHON") and os.environ.get(name) != value:
            raise _conflict(
                name, value, "Python reads it only when it starts; set it before the first workload"
            )
    try:
        os.environ.update(env)
    except (OSError, ValueError) as error:  # a NUL byte, an empty name or one with "="
        problem = str(error)
    else:
        _given.update(env)
        return
    raise refused(
        "ERR_PROTOCOL",
        f"params.env of open_workload cannot be set: {problem}; names must be non-empty, without "
        "'=', and neither names nor values may hold NUL characters",
        "ValueError",
    )


def _conflict(name: str, value: str, why: str) -> Exception:
    return refused(
        "ERR_RUNTIME_CONFLICT",
        f"Cannot set {name} to {quoted(value)}: {why}. A process has one environment; "
        "use the same value, or run the workload in another process",
        "RuntimeError",
    )
