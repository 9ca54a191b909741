"""Tensors written as a safetensors file straight into memory that is there already.

First the layout, which says how much memory that takes; then the copy.

    layout = plan_layout(model.state_dict())
    memory = bytearray(layout.total_bytes)
    write_tensors(layout, model.state_dict(), memory)

The file is, byte for byte, what `safetensors.torch.save` makes of the same tensors. That writer
puts several metadata in a random order; here they are in the order of their names, so that equal
tensors and metadata give equal bytes. Beyond that writer:

- Tensors may be non-contiguous, on any device, and may share memory. Tied weights are written in
  full under each of their names, and become separate copies for its readers.
- The name `__metadata__`, with which that writer makes an unreadable file, is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .._host.failures import quoted
from .dtypes import F4_PER_ELEMENT, format_dtypes, require_little_endian
from .errors import Fault, SafetensorsError, clip
from .header import (
    DTYPE_BITS,
    LENGTH_BYTES,
    MAX_HEADER_BYTES,
    METADATA,
    TensorInfo,
    shown_type,
    tensor_nbytes,
)
from .header_scanner import SAFE_MAX

if TYPE_CHECKING:
    import torch
    from _typeshed import WriteableBuffer

_RANK = {dtype: rank for rank, dtype in enumerate(DTYPE_BITS)}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each byte of a file goes."""

    head: bytes
    """The file up to its data: header length, header, and spaces up to a multiple of 8 bytes."""
    tensors: tuple[TensorInfo, ...]
    """In the order of their data: large dtypes first, so that each lies at a multiple of its size
    when the memory does; then by name. Offsets count from the end of head."""
    total_bytes: int
    """Length of the whole file."""


def plan_layout(
    tensors: "Mapping[str, torch.Tensor]", metadata: Mapping[str, str] | None = None
) -> Layout:
    """Lay out a file of these tensors. Looks at names, dtypes and shapes only.

    metadata: free texts for the header's `__metadata__`.
    Raises SafetensorsError with fault "unsupported" for what the format cannot say, with its name:
    sparse, nested, quantised, lazy and meta tensors, tensor subclasses without plain memory, dtypes
    that it does not know, values that are no tensors, texts with a lone surrogate.
    """
    infos = [_described(name, tensor) for name, tensor in tensors.items()]
    infos.sort(key=lambda info: (-_RANK[info.dtype], info.name))
    placed = []
    at = 0
    for info in infos:
        placed.append(info._replace(offset=at))
        at += info.nbytes
    head = _head(placed, metadata)
    return Layout(head, tuple(placed), len(head) + at)


def write_tensors(
    layout: Layout, tensors: "Mapping[str, torch.Tensor]", buffer: "WriteableBuffer"
) -> None:
    """Write the file that layout describes.

    tensors: as they were given to plan_layout; values may have changed since, names, dtypes and
    shapes may not. A tensor of another device crosses once.
    buffer: contiguous writable memory of exactly layout.total_bytes bytes, any alignment.
    Raises SafetensorsError with fault "mismatch" or "buffer", and has then written nothing.
    """
    import torch

    require_little_endian()
    _check_tensors(layout, tensors)
    _write_head(layout, buffer)
    with torch.no_grad():
        for info in layout.tensors:
            if info.nbytes > 0:
                _write(tensors[info.name], buffer, len(layout.head) + info.offset, info.nbytes)


def _write(tensor: "torch.Tensor", buffer: "WriteableBuffer", offset: int, nbytes: int) -> None:
    import torch

    target = torch.frombuffer(buffer, dtype=torch.uint8, count=nbytes, offset=offset)
    if target.data_ptr() % tensor.element_size() == 0:
        target.view(tensor.dtype).view(tensor.shape).copy_(tensor)
    else:
        aligned = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu").copy_(tensor)
        target.copy_(aligned.view(-1).view(torch.uint8))


def _described(name: object, tensor: object) -> TensorInfo:
    """Return name, dtype, shape and size of a tensor, not yet placed."""
    import torch

    if not isinstance(name, str):
        raise SafetensorsError(f"Cannot write a tensor under the name {quoted(name)}: use a str")
    if name == METADATA:
        _refuse(name, "the format keeps that name for itself; use another one")
    _check_text(name, f"the name {clip(name)}")
    if not isinstance(tensor, torch.Tensor):
        _refuse(name, f"it is a {type(tensor).__name__}, not a tensor; leave it out or convert it")
    _check_kind(name, tensor)
    dtype = format_dtypes().get(tensor.dtype)
    if dtype is None:
        _refuse(name, f"the format has no dtype for {tensor.dtype}; convert it")
    shape = tuple(tensor.shape)
    if dtype == "F4":
        if not shape:
            _refuse(name, f"a scalar of {tensor.dtype} has no shape in the format; reshape it to 1")
        shape = (*shape[:-1], shape[-1] * F4_PER_ELEMENT)
    if any(dimension > SAFE_MAX for dimension in shape):
        _refuse(name, f"{shown_type(dtype, shape)} has a dimension beyond 2^53 - 1")

    def refuse(fault: Fault, problem: str) -> NoReturn:
        _refuse(name, problem)

    return TensorInfo(str.__str__(name), dtype, shape, 0, tensor_nbytes(dtype, shape, refuse))


def _check_kind(name: str, tensor: "torch.Tensor") -> None:
    import torch

    if torch.nn.parameter.is_lazy(tensor):
        _refuse(name, "it is lazy, with no shape yet; run the model once first")
    if tensor.is_nested:
        _refuse(name, "it is nested; pad it with torch.nested.to_padded_tensor")
    if tensor.layout != torch.strided:
        _refuse(name, f"it is {tensor.layout}, not strided; call to_dense() on it")
    if tensor.is_quantized:
        _refuse(name, "it is quantised; write int_repr(), with scale and zero point beside it")
    if tensor.is_meta:
        _refuse(name, "it is on the meta device, without values; give the model memory first")
    if type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        _refuse(name, f"it is a {type(tensor).__name__}; make a plain torch.Tensor of it first")


def _head(tensors: list[TensorInfo], metadata: Mapping[str, str] | None) -> bytes:
    entries: dict[str, object] = {}
    if metadata is not None:
        entries[METADATA] = _checked_metadata(metadata)
    for info in tensors:
        entries[info.name] = {
            "dtype": info.dtype,
            "shape": info.shape,
            "data_offsets": (info.offset, info.offset + info.nbytes),
        }
    header = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER_BYTES:
        raise SafetensorsError(
            f"Cannot write {len(tensors)} tensors: their header would have {len(header)} bytes, "
            f"and the limit is {MAX_HEADER_BYTES}; use shorter names or several files"
        )
    return len(header).to_bytes(LENGTH_BYTES, "little") + header


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise SafetensorsError(
                f"Cannot write the metadata {quoted(key)}: {quoted(value)}; both must be str"
            )
        _check_text(key, f"the metadata key {clip(key)}")
        _check_text(value, f"the metadata of {clip(key)}")
    return dict(sorted(metadata.items()))


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        problem = f"Cannot write {what}: it has a lone surrogate, which UTF-8 cannot hold"
    else:
        return
    raise SafetensorsError(problem)


def _check_tensors(layout: Layout, tensors: "Mapping[str, torch.Tensor]") -> None:
    for info in layout.tensors:
        if info.name not in tensors:
            _mismatch(f"{clip(info.name)} is missing")
        now = _described(info.name, tensors[info.name])
        if (now.dtype, now.shape) != (info.dtype, info.shape):
            now_shown, planned = shown_type(*now[1:3]), shown_type(*info[1:3])
            _mismatch(f"{clip(info.name)} is {now_shown}, and was {planned}")
    if len(tensors) > len(layout.tensors):
        planned_names = {info.name for info in layout.tensors}
        _mismatch(f"{quoted(next(name for name in tensors if name not in planned_names))} is new")


def _write_head(layout: Layout, buffer: "WriteableBuffer") -> None:
    """Check the memory and write all before the data. The memoryview dies with this frame."""
    view = memoryview(buffer)
    if view.readonly:
        raise SafetensorsError("Cannot write tensors to read-only memory", "buffer")
    if not view.c_contiguous or view.nbytes != layout.total_bytes:
        raise SafetensorsError(
            f"Cannot write tensors to {view.nbytes} bytes"
            f"{'' if view.c_contiguous else ' that are not contiguous'}: "
            f"the layout needs {layout.total_bytes}, contiguous",
            "buffer",
        )
    view.cast("B")[: len(layout.head)] = layout.head


def _refuse(name: str, problem: str) -> NoReturn:
    raise SafetensorsError(f"Cannot write tensor {clip(name)} as safetensors: {problem}")


def _mismatch(problem: str) -> NoReturn:
    raise SafetensorsError(
        f"Cannot write tensors that differ from their layout: {problem}; plan the layout again",
        "mismatch",
    )
