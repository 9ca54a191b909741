"""Tensors over the memory of a safetensors file, without a copy, and models loaded from them."""

import contextlib
import math
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from .dtypes import F4_PER_ELEMENT, require_little_endian, torch_dtypes
from .errors import SafetensorsError, clip
from .header import Header, TensorInfo, parse_header, shown_type

if TYPE_CHECKING:
    import torch
    from _typeshed import ReadableBuffer

_MAX_NAMED = 3
"""Names that a message lists."""


def tensor_views(exporter: "ReadableBuffer") -> "dict[str, torch.Tensor]":
    """Return a tensor over each tensor's bytes, in the order of the data.

    exporter: a whole safetensors file. Its memory must stay in place while a view lives (do not
    resize a bytearray). Every view keeps a reference to this very object, and no buffer export.

    Views are on the CPU and share their memory with the exporter, in both directions where it is
    writable. Where it is read-only, torch does not know: writing to a view is undefined. Two kinds
    of tensors are copies, and do not keep the exporter: those without elements, and those whose
    bytes do not lie at a multiple of their element's size, which torch may not touch in place.

    Raises SafetensorsError for a file that is none, and with fault "unsupported" for a tensor that
    this torch cannot have.
    """
    require_little_endian()
    header = parse_header(exporter)
    _silence_read_only_warning()
    return {info.name: _view(exporter, header, info) for info in header.tensors}


def load_state_dict_from(
    exporter: "ReadableBuffer", target: "torch.nn.Module | Mapping[str, torch.Tensor]"
) -> None:
    """Copy a safetensors file over the tensors of a model, whatever device they are on.

    target: a module, or a mapping such as its state_dict(). Tensors of the file must be those of
    the target in name, shape and dtype; else SafetensorsError says which are not, with fault
    "mismatch", and nothing has changed. Values are not looked at: a NaN passes.

    A module takes the tensors over by its own load_state_dict, hooks included.
    """
    import torch

    views = tensor_views(exporter)
    if isinstance(target, torch.nn.Module):
        _check_all_fit(views, target.state_dict())
        target.load_state_dict(views)
        return
    _check_all_fit(views, target)
    with torch.no_grad():
        for name, view in views.items():
            target[name].copy_(view)


def _view(exporter: "ReadableBuffer", header: Header, info: TensorInfo) -> "torch.Tensor":
    import torch

    dtype, shape = _torch_type(info)
    if info.nbytes == 0:
        return _empty(info, dtype, shape)
    offset = header.data_start + info.offset
    view = torch.frombuffer(exporter, dtype=dtype, count=math.prod(shape), offset=offset)
    if view.data_ptr() % view.element_size() != 0:
        raw = torch.frombuffer(exporter, dtype=torch.uint8, count=info.nbytes, offset=offset)
        view = raw.clone().view(dtype)
    return view.view(shape)


def _torch_type(info: TensorInfo) -> "tuple[torch.dtype, tuple[int, ...]]":
    """Return the dtype and shape that torch has for a tensor of the format."""
    dtype = torch_dtypes().get(info.dtype)
    if dtype is None:
        raise _no_view(info, "this torch has no such dtype; convert it before it is sent")
    if info.dtype != "F4":
        return dtype, info.shape
    *outer, last = info.shape
    if last % F4_PER_ELEMENT != 0:
        raise _no_view(info, "torch packs two values, so that the last dimension must be even")
    return dtype, (*outer, last // F4_PER_ELEMENT)


def _empty(info: TensorInfo, dtype: "torch.dtype", shape: tuple[int, ...]) -> "torch.Tensor":
    """Make a tensor without elements, of which frombuffer knows nothing."""
    import torch

    try:
        return torch.empty(shape, dtype=dtype, device="cpu")
    except RuntimeError:
        # Beside a dimension of 0 the others can be of any size, but torch multiplies them.
        raise _no_view(info, "its dimensions are too large for torch") from None


def _no_view(info: TensorInfo, reason: str) -> SafetensorsError:
    what = f"tensor {clip(info.name)}, {shown_type(info.dtype, info.shape)}"
    return SafetensorsError(f"Cannot view {what}: {reason}", "unsupported")


@cache
def _silence_read_only_warning() -> None:
    """Keep torch from warning that a buffer is not writable, here and nowhere else.

    catch_warnings is of no use: it swaps the filters of all threads. torch warns once in a
    process, so a throwaway byte draws the warning. The filter hides it, for this module alone,
    and hides the later ones of torch.set_warn_always. Should another thread swap the filters just
    now, the warning is printed once, or raised and dropped; it never ends a call.
    """
    import torch

    warnings.filterwarnings(
        "ignore", "The given buffer is not writable", UserWarning, re.escape(__name__)
    )
    with contextlib.suppress(UserWarning):
        torch.frombuffer(b"\0", dtype=torch.uint8)


def _check_all_fit(views: "Mapping[str, torch.Tensor]", expected: Mapping[str, object]) -> None:
    missing = [name for name in expected if name not in views]
    unknown = [name for name in views if name not in expected]
    if missing:
        raise _misfit(f"the file lacks {_listed(missing)}")
    if unknown:
        raise _misfit(f"the model lacks {_listed(unknown)}")
    for name, view in views.items():
        _check_fit(name, view, expected[name])


def _check_fit(name: str, view: "torch.Tensor", mine: object) -> None:
    import torch

    if not isinstance(mine, torch.Tensor):
        raise _misfit(f"{clip(name)} is a {type(mine).__name__} in the model, not a tensor")
    if torch.nn.parameter.is_lazy(mine):
        raise _misfit(f"{clip(name)} has no shape in the model yet; run the model once first")
    if view.shape != mine.shape:
        raise _misfit(f"{clip(name)} has the shape {_dims(view)}, and {_dims(mine)} in the model")
    if view.dtype != mine.dtype:
        raise _misfit(f"{clip(name)} is {view.dtype}, and {mine.dtype} in the model")
    if mine.is_meta:
        raise _misfit(f"{clip(name)} has no memory in the model, it is on the meta device")


def _misfit(problem: str) -> SafetensorsError:
    return SafetensorsError(f"Cannot load the tensors into the model: {problem}", "mismatch")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(map(clip, names[:_MAX_NAMED])) + more


def _dims(tensor: "torch.Tensor") -> str:
    return shown_type("", tensor.shape).removeprefix(" of shape ")
