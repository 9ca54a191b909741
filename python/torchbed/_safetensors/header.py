"""Reads and checks the header of a safetensors file: the same rules as lib/safetensors.

The rules are those of the package safetensors 0.8. Stricter where the format itself is: a name may
not appear twice, and the header begins with `{`. Stricter too in that a tensor must be an object
and its dtype a text, and that a dimension may not exceed 2^53 - 1 (beside a dimension of 0).

Needs no torch.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from .errors import Fault, clip, refuse_header
from .header_scanner import U64_MAX, HeaderScanner

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LENGTH_BYTES = 8
"""Bytes before the header: its length, a little-endian unsigned 64-bit integer."""

MAX_HEADER_BYTES = 100_000_000
"""Longest header, in bytes; the package stops there too."""

METADATA = "__metadata__"
"""The name in a header that is no tensor's."""

DTYPE_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
"""Bits of one element by dtype, in the package's order: its writer puts the last ones first."""

_MAX_SHOWN_DIMENSIONS = 8

_SORTED_AT_ONCE = 8192
"""Tensors that are sorted in one call into C, which holds the GIL: some ten milliseconds."""


class TensorInfo(NamedTuple):
    """One tensor, as the header describes it. Its data are little-endian and row-major."""

    name: str
    dtype: str
    """A key of DTYPE_BITS."""
    shape: tuple[int, ...]
    """Empty for a scalar."""
    offset: int
    """First byte, counted from Header.data_start."""
    nbytes: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header that agrees with itself and with the length of the file."""

    data_start: int
    """First byte of the data, counted from the start of the file."""
    metadata: dict[str, str] | None
    """The free texts under `__metadata__`."""
    tensors: tuple[TensorInfo, ...]
    """In the order of their data; those without data at one place in the order of their names."""


def parse_header(buffer: "ReadableBuffer", max_header_bytes: int = MAX_HEADER_BYTES) -> Header:
    """Read the header of a whole file that lies in memory.

    buffer: contiguous memory of any type and writability; it is referred to during the call only.
    Time is linear in the header's length: some 5 µs for each tensor as writers put it, 15 in any
    other form, half a second for each MB of a hostile header; memory is some ten times that length.
    Raises SafetensorsError for an invalid safetensors file, TypeError if it is not a buffer.
    """
    raw, total_bytes = _header_bytes(buffer, max_header_bytes)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        refuse_header("encoding", "its bytes are not UTF-8")
    if not text.startswith("{"):
        refuse_header("header_start", f'it begins with {clip(text[:20])} instead of "{{"')
    metadata, tensors = _read_header(HeaderScanner(text))
    ordered = _in_order(tensors)
    data_start = LENGTH_BYTES + len(raw)
    _check_places(ordered, total_bytes - data_start)
    return Header(data_start, metadata, tuple(ordered))


def _in_order(tensors: list[TensorInfo]) -> list[TensorInfo]:
    """Sort by place. One sort of a million would keep all other threads waiting for seconds."""

    def place(info: TensorInfo) -> tuple[int, int, str]:
        return info.offset, info.nbytes, info.name

    starts = range(0, len(tensors), _SORTED_AT_ONCE)
    runs = [sorted(tensors[at : at + _SORTED_AT_ONCE], key=place) for at in starts]
    return runs[0] if len(runs) == 1 else list(heapq.merge(*runs, key=place))


def tensor_nbytes(
    dtype: str, shape: Sequence[int], refuse: Callable[[Fault, str], NoReturn]
) -> int:
    """Return the size of a tensor in bytes, or call refuse where the format has no such size."""
    count = 1
    for dimension in shape:
        count *= dimension
        if count > U64_MAX:  # on the way too, although a later dimension may be 0
            refuse("overflow", f"{shown_type(dtype, shape)} has more than 2^64 - 1 elements")
    bits = count * DTYPE_BITS[dtype]
    if bits > U64_MAX:
        refuse("overflow", f"{shown_type(dtype, shape)} has more than 2^64 - 1 bits")
    if bits % 8 != 0:
        refuse("alignment", f"{shown_type(dtype, shape)} does not fill its last byte")
    return bits // 8


def shown_type(dtype: str, shape: Sequence[int]) -> str:
    """Return a dtype and shape for a message; a hostile shape could have millions of dimensions."""
    numbers = ", ".join(map(str, shape[:_MAX_SHOWN_DIMENSIONS]))
    return f"{dtype} of shape [{numbers}{', …' if len(shape) > _MAX_SHOWN_DIMENSIONS else ''}]"


def _header_bytes(buffer: "ReadableBuffer", limit: int) -> tuple[bytes, int]:
    """Return a copy of the header, safe from changes while it is read, and the file's length.

    The memoryview dies with this frame. Releasing it by hand would tell an exporter that its
    memory is free while tensors over it live.
    """
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise TypeError(f"a safetensors file must be contiguous memory, got strides {view.strides}")
    total = view.nbytes
    if total < LENGTH_BYTES:
        refuse_header("header_too_small", f"{total} bytes are too few for the header's length")
    view = view.cast("B")
    length = int.from_bytes(view[:LENGTH_BYTES], "little")
    if length > limit:
        refuse_header(
            "header_too_large", f"its length, {length} bytes, exceeds the limit of {limit}"
        )
    end = LENGTH_BYTES + length
    if end > total:
        refuse_header(
            "header_length", f"it would end at byte {end}, but there are only {total} bytes in all"
        )
    return bytes(view[LENGTH_BYTES:end]), total


def _read_header(scanner: HeaderScanner) -> tuple[dict[str, str] | None, list[TensorInfo]]:
    metadata: dict[str, str] | None = None
    tensors: list[TensorInfo] = []
    names: set[str] = set()
    for name in scanner.object():
        if name in names:
            scanner.refuse("duplicate_name", "the name appears twice")
        names.add(name)
        if name == METADATA:
            metadata = _read_metadata(scanner)
        else:
            tensors.append(_read_tensor(scanner, name))
    scanner.end()
    return metadata, tensors


def _read_metadata(scanner: HeaderScanner) -> dict[str, str] | None:
    if scanner.null():
        return None
    metadata: dict[str, str] = {}
    for name in scanner.object():
        if name in metadata:
            scanner.refuse("duplicate_name", "the name appears twice")
        metadata[name] = scanner.string()
    return metadata


def _read_tensor(scanner: HeaderScanner, name: str) -> TensorInfo:
    """Read `{"dtype": …, "shape": […], "data_offsets": [begin, end]}`; other fields are ignored."""
    dtype, shape, begin, end = scanner.usual_tensor(DTYPE_BITS) or _read_fields(scanner)
    if end < begin:
        scanner.refuse("offset", f"the tensor ends at {end}, before it begins at {begin}")
    nbytes = tensor_nbytes(dtype, shape, scanner.refuse)
    if end - begin != nbytes:
        scanner.refuse(
            "size", f"{shown_type(dtype, shape)} has {end - begin} bytes instead of {nbytes}"
        )
    return TensorInfo(name, dtype, shape, begin, nbytes)


def _read_fields(scanner: HeaderScanner) -> tuple[str, tuple[int, ...], int, int]:
    """Read the fields in any order, with whatever is between them."""
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    places: tuple[int, ...] | None = None
    for field in scanner.object():
        if field == "dtype":
            if dtype is not None:
                scanner.refuse("duplicate_name", "the dtype appears twice")
            dtype = scanner.string()
            if dtype not in DTYPE_BITS:
                scanner.refuse("json", f"{clip(dtype)} is not a known dtype")
        elif field == "shape":
            if shape is not None:
                scanner.refuse("duplicate_name", "the shape appears twice")
            shape = scanner.integers("dimension")
        elif field == "data_offsets":
            if places is not None:
                scanner.refuse("duplicate_name", "the offsets appear twice")
            places = scanner.integers("offset")
        else:
            scanner.skip()
    if dtype is None or shape is None or places is None:
        scanner.refuse("json", "the tensor lacks its dtype, shape or data_offsets")
    if len(places) != 2:
        scanner.refuse("json", f"there are {len(places)} data_offsets instead of 2")
    begin, end = places
    return dtype, shape, begin, end


def _check_places(tensors: list[TensorInfo], data_bytes: int) -> None:
    """The tensors must fill the data from the first byte to the last."""
    at = 0
    for info in tensors:
        if info.offset != at:
            refuse_header(
                "offset",
                f"tensor {clip(info.name)} begins at byte {info.offset} of the data, not at {at}",
            )
        at += info.nbytes
    if at != data_bytes:
        refuse_header(
            "data_length",
            f"its tensors have {at} bytes, but the file has {data_bytes} bytes of data",
        )
