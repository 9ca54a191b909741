"""A model's floating-point tensors as one float32 vector (spec diloco-reference#pack-layout).

The vector is what peers average in DiLoCo. It holds each floating-point tensor of `state_dict()`,
parameters and buffers alike, in the order of their full names by code point, row-major, cast to
float32. A tensor under two names is in it twice, as it is in `state_dict()`.
"""

import fnmatch
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class PackPlan:
    """What of a model is in its vector. Names are in the vector's order."""

    layout_hash: str
    """`torch-layout-` and the SHA-256 of names, dtypes and shapes; equal for all peers."""
    included_keys: tuple[str, ...]
    excluded_float_keys: tuple[str, ...]
    """Floating-point tensors that the patterns left out."""
    ignored_non_float_keys: tuple[str, ...]
    parameter_count: int
    """Length of the vector."""


def pack_plan(state: Any, *, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> PackPlan:
    """Return what the vector of a state holds.

    state: an nn.Module, or a dict with one under "model" or several by name under "modules".
    include: glob patterns of full names, case-sensitive. Default: all.
    exclude: what is left out all the same.

    Raises TypeError for another state, ValueError when no floating-point element is left.
    """
    return _layout(state, include, exclude)[0]


def pack_values(
    state: Any, *, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> "torch.Tensor":
    """Return a new vector, float32 [parameter_count] on the CPU. Arguments as of pack_plan."""
    import torch

    plan, included = _layout(state, include, exclude)
    values = torch.empty(plan.parameter_count, dtype=torch.float32)
    at = 0
    with torch.no_grad():
        for _, tensor in included:
            count = tensor.numel()
            values[at : at + count].copy_(tensor.detach().reshape(-1))
            at += count
    return values


def unpack_values(
    state: Any,
    values: "torch.Tensor",
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> None:
    """Copy a vector into a state's tensors, in place, cast to their dtypes.

    What the vector does not hold stays as it is. The vector may come from peers: one of another
    length or dtype, or with a NaN or an infinity, raises ValueError and changes nothing.
    """
    import torch

    plan, included = _layout(state, include, exclude)
    if values.dtype != torch.float32 or list(values.shape) != [plan.parameter_count]:
        raise ValueError(
            f"the vector is {values.dtype} {list(values.shape)}, and the model takes "
            f"torch.float32 [{plan.parameter_count}]"
        )
    if not bool(values.isfinite().all()):
        index = int((~values.isfinite()).nonzero()[0])
        raise ValueError(f"the vector holds {values[index].item()} at index {index}")
    at = 0
    with torch.no_grad():
        for _, tensor in included:
            count = tensor.numel()
            tensor.copy_(values[at : at + count].reshape(tensor.shape))
            at += count


def _layout(
    state: Any, include: Sequence[str], exclude: Sequence[str]
) -> "tuple[PackPlan, list[tuple[str, torch.Tensor]]]":
    for pattern in (*include, *exclude):
        if not pattern.strip() or "\0" in pattern:
            raise ValueError(f"{pattern!r} is no pattern of tensor names")
    included: list[tuple[str, torch.Tensor]] = []
    excluded: list[str] = []
    ignored: list[str] = []
    for name, tensor in _tensors(state):
        if not tensor.is_floating_point():
            ignored.append(name)
        elif _matches(name, include, exclude):
            included.append((name, tensor))
        else:
            excluded.append(name)
    count = sum(tensor.numel() for _, tensor in included)
    if count == 0:
        raise ValueError(
            "the model has no floating-point elements to exchange"
            + (f"; the patterns leave out {excluded}" if excluded else "")
        )
    layout = [
        {
            "dtype": str(tensor.dtype),
            "name": name,
            "numel": tensor.numel(),
            "shape": list(tensor.shape),
        }
        for name, tensor in included
    ]
    text = json.dumps(layout, sort_keys=True, separators=(",", ":"))
    plan = PackPlan(
        layout_hash=f"torch-layout-{hashlib.sha256(text.encode()).hexdigest()}",
        included_keys=tuple(name for name, _ in included),
        excluded_float_keys=tuple(excluded),
        ignored_non_float_keys=tuple(ignored),
        parameter_count=count,
    )
    return plan, included


def _tensors(state: Any) -> "Iterator[tuple[str, torch.Tensor]]":
    """Yield all tensors by full names: sorted by module, then by key."""
    import torch

    for module_name, module in sorted(_modules(state).items()):
        tensors = module.state_dict()
        for key in sorted(tensors):
            if isinstance(tensors[key], torch.Tensor):
                yield (f"{module_name}.{key}" if module_name else key), tensors[key]


def _modules(state: Any) -> "dict[str, nn.Module]":
    from torch import nn

    if isinstance(state, nn.Module):
        return {"": state}
    if isinstance(state, Mapping):
        model, modules = state.get("model"), state.get("modules")
        if isinstance(model, nn.Module):
            return {"": model}
        if (
            isinstance(modules, Mapping)
            and modules
            and all(isinstance(it, nn.Module) for it in modules.values())
        ):
            return dict(modules)
    raise TypeError(
        f"cannot find the model in a state of type {type(state).__name__}: it must be an "
        "nn.Module, or a dict with one under 'model' or several by name under 'modules'"
    )


def _matches(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in exclude):
        return False
    return not include or any(fnmatch.fnmatchcase(name, pattern) for pattern in include)
