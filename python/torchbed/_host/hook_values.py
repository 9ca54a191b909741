"""What a workload's own hooks take and give: plain values with tensors and bytes in them.

A tensor crosses beside the value that holds it. `places` lists where each belongs, so that no
value of a user can be mistaken for a tensor.
"""

import base64
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .failures import refused

if TYPE_CHECKING:
    import torch

MAX_DEPTH = 128
"""Deepest nesting that crosses, in levels: that of the embedding bridge."""

INLINE_BYTES = 65_536
"""Largest sum of a result's tensors that is answered at once; larger ones are filled into memory
that JavaScript allocates."""

DTYPES = (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex32",
    "complex64",
    "complex128",
)
"""The dtypes of torch whose elements are whole bytes, quantized ones apart."""

Place = dict[str, Any]
"""`at`: the keys that lead there; `dtype`, `shape` and `data` of a tensor, or `format` and `data`
of bytes. A result's tensor has no `data` while it waits to be filled."""


def with_inputs(value: object, places: list[Place], owns_tensors: bool = False) -> object:
    """Return the value with what belongs at the places. Fails with ERR_VALUE.

    owns_tensors: whether tensors get memory of their own, instead of that lent for the call.
    """
    for place in places:
        item: Any = _bytes(place) if "format" in place else _tensor(place)
        if owns_tensors and "dtype" in place:
            item = item.clone()
        at = place["at"]
        if not at:
            return item
        around: Any = value
        for key in at[:-1]:
            around = around[key]
        around[at[-1]] = item
    return value


class Outputs:
    """A hook's result: `value` with None where `places` says that a tensor or bytes belong."""

    def __init__(self, returned: object, as_text: bool, lent: list[Place]) -> None:
        """as_text: whether bytes cross as base64, to another process.

        lent: the places of the input, whose memory is gone when the call ends.
        """
        self._as_text = as_text
        self._waiting: list[torch.Tensor] = []
        self.places: list[Place] = []
        self.value = self._plain(returned, ())
        total = sum(tensor.numel() * tensor.element_size() for tensor in self._waiting)
        if as_text or total <= INLINE_BYTES:
            self._answer_at_once()
        else:
            self._leave(lent)

    @property
    def is_waiting(self) -> bool:
        """Whether fill() has to follow."""
        return bool(self._waiting)

    def fill(self, memories: list[Any]) -> None:
        """Write each tensor into its memory, in the order of the places."""
        for tensor, memory in zip(self._waiting, memories, strict=True):
            _copy(tensor, memory)
        self._waiting.clear()

    def _answer_at_once(self) -> None:
        tensors = iter(self._waiting)
        for place in self.places:
            if "dtype" in place:
                tensor = next(tensors)
                data = bytearray(tensor.numel() * tensor.element_size())
                _copy(tensor, data)
                place["data"] = self._data(data)
        self._waiting = []

    def _leave(self, lent: list[Place]) -> None:
        """Copy what shares the memory of the input, which is JavaScript's again after the call."""
        given = {place["start"] for place in lent if place.get("start")}
        self._waiting = [
            tensor.clone() if tensor.untyped_storage().data_ptr() in given else tensor
            for tensor in self._waiting
        ]

    def _data(self, data: bytes | bytearray) -> object:
        return base64.b64encode(data).decode("ascii") if self._as_text else data

    def _plain(self, value: Any, at: tuple[object, ...]) -> object:
        # The common types by their class: asking torch costs more.
        kind = type(value)
        if kind in (str, int, float, bool, type(None)):
            return value
        if len(at) > MAX_DEPTH:
            raise refused("ERR_VALUE", f"nested deeper than {MAX_DEPTH} levels, or circular")
        if isinstance(value, Mapping):
            return {key: self._plain(item, (*at, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(item, (*at, index)) for index, item in enumerate(value)]
        if self._as_text and isinstance(value, bytes | bytearray | memoryview):
            self.places.append(
                {"at": list(at), "format": "bytes", "data": self._data(bytes(value))}
            )
            return None
        tensor = _as_tensor(value, at)
        if tensor is None:
            return value
        self._waiting.append(tensor)
        dtype = str(tensor.dtype).removeprefix("torch.")
        self.places.append({"at": list(at), "dtype": dtype, "shape": list(tensor.shape)})
        return None


def _as_tensor(value: Any, at: tuple[object, ...]) -> "torch.Tensor | None":
    """Return the values on the CPU, dense and row-major; None for what is no tensor."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return None
    where = path_text(("output", *at))
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise refused("ERR_VALUE", f"a tensor of dtype {dtype} cannot be returned at {where}")
    if value.layout != torch.strided or value.device.type == "meta":
        kind = "meta" if value.device.type == "meta" else str(value.layout)
        raise refused(
            "ERR_VALUE",
            f"a tensor of kind {kind} cannot be returned at {where}; return a dense one",
        )
    return value.detach().cpu().resolve_conj().resolve_neg().contiguous()  # type: ignore[no-any-return]


def _copy(tensor: "torch.Tensor", memory: Any) -> None:
    import torch

    if tensor.numel() == 0:
        return
    target = torch.frombuffer(memory, dtype=torch.uint8)
    target.copy_(tensor.reshape(-1).view(torch.uint8))


def _tensor(place: Place) -> "torch.Tensor":
    where = path_text(("input", *place["at"]))
    try:
        import torch
    except ImportError as error:
        raise refused(
            "ERR_VALUE",
            f"the tensor at {where} needs torch, which cannot be imported; install torch",
        ) from error
    dtype = getattr(torch, place["dtype"], None) if place["dtype"] in DTYPES else None
    if dtype is None:
        raise refused(
            "ERR_VALUE", f"torch {torch.__version__} has no dtype {place['dtype']!r} for {where}"
        )
    shape = place["shape"]
    data = place["data"]
    if isinstance(data, str):
        data = bytearray(base64.b64decode(data))
    if 0 in shape:
        return torch.empty(shape, dtype=dtype)
    tensor = torch.frombuffer(data, dtype=torch.uint8)
    place["start"] = tensor.untyped_storage().data_ptr()
    if dtype is torch.bool and bool((tensor > 1).any()):
        raise refused("ERR_VALUE", f"the bool tensor at {where} has bytes other than 0 and 1")
    return tensor.view(dtype).reshape(shape)


def _bytes(place: Place) -> object:
    data = base64.b64decode(place["data"])
    return data if place["format"] == "bytes" else memoryview(data).cast(place["format"])


def path_text(at: tuple[object, ...]) -> str:
    """Return a place as code would write it: `output.scores[3]`."""
    text = ""
    for step in at:
        if isinstance(step, str) and step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text
