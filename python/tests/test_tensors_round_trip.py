"""Whatever tensors are written come back, by our reader and by the package's (random tensors)."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from torchbed.tensors import load_state_dict_from, plan_layout, tensor_views, write_tensors

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING or find_spec("torch"):
    import torch

pytestmark = pytest.mark.torch

DTYPES = [
    *["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"],
    *["float16", "bfloat16", "float32", "float64", "complex64"],
    *["float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2fnuz"],
]
"""What safetensors.torch.load can read; the others have tests beside."""


@st.composite
def tensors_of(draw: st.DrawFn) -> "torch.Tensor":
    """A tensor of any bits, often a view of a larger one that is not contiguous."""
    dtype: torch.dtype = getattr(torch, draw(st.sampled_from(DTYPES)))
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    size = torch.Size(shape).numel() * dtype.itemsize
    raw = draw(st.binary(min_size=size, max_size=size))
    if dtype == torch.bool:
        raw = bytes(byte & 1 for byte in raw)
    numbers = torch.tensor(list(raw), dtype=torch.uint8)
    tensor = numbers.view(dtype).view(shape) if size else torch.empty(shape, dtype=dtype)
    if not shape:
        return tensor
    axes = draw(st.permutations(list(range(len(shape)))))
    return tensor.permute(*axes)[:: draw(st.integers(1, 3))]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
    lambda name: name != "__metadata__"
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def same(one: "torch.Tensor", other: "torch.Tensor") -> bool:
    return (one.dtype, one.shape, bits(one)) == (other.dtype, other.shape, bits(other))


def bits(tensor: "torch.Tensor") -> list[int]:
    packed = tensor.clone(memory_format=torch.contiguous_format)
    numbers: list[int] = packed.view(-1).view(torch.uint8).tolist()
    return numbers


@settings(max_examples=200, deadline=None)
@given(
    tensors=st.dictionaries(names, tensors_of(), max_size=6),
    metadata=st.none() | st.dictionaries(texts, texts, max_size=3),
    shift=st.integers(0, 8),
)
def test_tensors_come_back_bit_by_bit_in_both_readers(
    tensors: "dict[str, torch.Tensor]", metadata: dict[str, str] | None, shift: int
) -> None:
    from safetensors.torch import load

    layout = plan_layout(tensors, metadata)
    memory = bytearray(shift + layout.total_bytes)
    place = memoryview(memory)[shift:]
    write_tensors(layout, tensors, place)

    views = tensor_views(place)
    package = load(bytes(place))
    assert views.keys() == package.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert same(views[name], tensor)
        assert same(package[name], tensor)

    target = {name: torch.empty_like(tensor) for name, tensor in tensors.items()}
    load_state_dict_from(place, target)
    assert all(same(target[name], tensor) for name, tensor in tensors.items())
