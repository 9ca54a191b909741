"""What hooks return, checked and made plain (spec hooks#the-hooks); metrics have their own file."""

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from .failures import CallFailed, quoted, refused


def wrong(hook: str, expected: str, got: object) -> CallFailed:
    """Build the failure of a hook that returned something else than it must: ERR_PROTOCOL."""
    return refused("ERR_PROTOCOL", f"{hook} must return {expected}, got {quoted(got)}")


def plain_device(returned: object, hook: str) -> str:
    """Check runtime_device's tag."""
    if isinstance(returned, str):
        return str.__str__(returned)
    raise wrong(hook, "a str", returned)


def plain_capability(returned: object, hook: str) -> dict[str, object]:
    """Check a CapabilityEstimate. Other keys are left out; numpy numbers are welcome."""
    if not isinstance(returned, Mapping):
        raise wrong(hook, "a dict", returned)
    backends = _required(hook, returned, "preferred_backends")
    speed = _required(hook, returned, "work_units_per_second")
    window = _required(hook, returned, "target_window_seconds")
    if not isinstance(backends, list | tuple) or not all(isinstance(b, str) for b in backends):
        raise wrong(hook, "preferred_backends as a list of str", backends)
    if not _is(Real, speed) or not math.isfinite(speed) or speed < 0:
        raise wrong(hook, "work_units_per_second as a finite number, 0 or more", speed)
    if not _is(Integral, window) or not 0 <= window < 2**64:
        raise wrong(hook, "target_window_seconds as an int, 0 or more", window)
    return {
        "preferred_backends": [str.__str__(backend) for backend in backends],
        "work_units_per_second": float(speed),
        "target_window_seconds": int(window),
    }


def plain_patch_outcome(returned: object, hook: str) -> str | dict[str, str]:
    """Check a PatchOutcome."""
    if isinstance(returned, str) and returned in ("Applied", "RequiresRestart"):
        return str.__str__(returned)
    if isinstance(returned, Mapping) and list(returned) == ["Rejected"]:
        reason = returned["Rejected"]
        if isinstance(reason, str):
            return {"Rejected": str.__str__(reason)}
    raise wrong(hook, '"Applied", "RequiresRestart" or {"Rejected": reason}', returned)


def _required(hook: str, returned: Mapping[Any, Any], name: str) -> Any:
    if name not in returned:
        raise wrong(hook, name, returned)
    return returned[name]


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
