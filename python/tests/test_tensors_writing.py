"""plan_layout and write_tensors: the package's own bytes, what is refused, what must still fit."""

import gc
import random
import weakref
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from torchbed.tensors import (
    Layout,
    SafetensorsError,
    load_state_dict_from,
    parse_header,
    plan_layout,
    tensor_views,
    write_tensors,
)

if TYPE_CHECKING or find_spec("torch"):
    import torch

pytestmark = pytest.mark.torch

DTYPES = [
    *["bool", "uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"],
    *["float16", "bfloat16", "float32", "float64", "complex64", "float4_e2m1fn_x2"],
    *["float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"],
]


class Memory(bytearray):
    """Writable memory that can be watched by a weak reference."""


def written(
    tensors: "Mapping[str, torch.Tensor]", metadata: Mapping[str, str] | None = None
) -> bytes:
    layout = plan_layout(tensors, metadata)
    memory = Memory(b"\xaa" * layout.total_bytes)
    write_tensors(layout, tensors, memory)
    return bytes(memory)


def drawn(dtype: str, *shape: int) -> "torch.Tensor":
    """A tensor of random bits, NaNs and all."""
    kind: torch.dtype = getattr(torch, dtype)
    size = torch.Size(shape).numel() * kind.itemsize
    bits = torch.randint(0, 2 if dtype == "bool" else 256, (size,), dtype=torch.uint8)
    return bits.view(kind).view(shape)


def package(tensors: "dict[str, torch.Tensor]", metadata: dict[str, str] | None = None) -> bytes:
    from safetensors.torch import save

    return save(tensors, metadata)


def bits(tensor: "torch.Tensor") -> list[int]:
    numbers: list[int] = tensor.contiguous().view(-1).view(torch.uint8).tolist()
    return numbers


# --- the same bytes as the package ---


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        (dtype, shape)
        for dtype in DTYPES
        for shape in ((3, 2), (1,), (0,), (2, 0, 3), ())
        if (dtype, shape) != ("float4_e2m1fn_x2", ())  # both refuse that: the format has no shape
    ],
)
def test_each_dtype_and_shape_is_written_as_the_package_writes_it(
    dtype: str, shape: tuple[int, ...]
) -> None:
    tensors = {"a": drawn(dtype, *shape)}
    assert written(tensors) == package(tensors)


def test_all_dtypes_together_in_any_order_give_the_bytes_of_the_package() -> None:
    rng = random.Random(20260507)
    names = [
        "a",
        "b.weight",
        "é",
        "",
        "x\0",
        "\U0001f600",
        "\uffee",
        'q"\\/',
        "\x7f\u2028",
        "\t\n\r\b\f",
    ]
    for _ in range(200):
        tensors = {
            f"{rng.choice(names)}{rng.randint(0, 3)}": drawn(
                rng.choice(DTYPES), *(rng.randint(0, 3) for _ in range(rng.randint(1, 3)))
            )
            for _ in range(rng.randint(0, 12))
        }
        metadata = rng.choice([None, {rng.choice(names): rng.choice(names)}])
        if metadata is not None and not tensors:
            continue  # the package's file is then not JSON
        assert written(tensors, metadata) == package(tensors, metadata)


def test_a_model_is_written_as_the_package_writes_it() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.BatchNorm1d(3))
    assert written(model.state_dict()) == package(model.state_dict())
    parameters = dict(model.named_parameters())
    assert written(parameters) == package({name: p.detach() for name, p in parameters.items()})


def test_nothing_at_all_is_a_file_too() -> None:
    assert written({}) == package({}) == b"\x08" + bytes(7) + b"{}      "
    assert parse_header(written({}, {})).metadata == {}


def test_metadata_come_in_the_order_of_their_names() -> None:
    """The package's order is random when there are several, which would change an artifact's id."""
    tensors = {"a": drawn("int8", 2)}
    first = written(tensors, {"z": "1", "a": "2", "é": "3"})
    assert first == written(tensors, {"é": "3", "a": "2", "z": "1"})
    assert b'{"__metadata__":{"a":"2","z":"1","\xc3\xa9":"3"},"a":' in first


# --- tensors that the package refuses ---


def test_tensors_that_are_not_contiguous_are_written_as_their_values() -> None:
    base = drawn("float32", 6, 4)
    tensors = {
        "transposed": base.t(),
        "strided": base[::2, 1::2],
        "expanded": base[0].expand(5, 4),
        "permuted": drawn("int64", 2, 3, 4).permute(2, 0, 1),
        "conjugate": drawn("complex64", 2, 2).conj(),
        "negative": torch.imag(torch.tensor([1 + 2j], dtype=torch.complex64).conj()),
    }
    plain = {name: tensor.resolve_conj().resolve_neg() for name, tensor in tensors.items()}
    plain = {name: tensor.contiguous().clone() for name, tensor in plain.items()}
    assert written(tensors) == package(plain)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_written_bit_by_bit_when_transposed_too(dtype: str) -> None:
    tensor = drawn(dtype, 5, 3).t()
    assert bits(tensor_views(written({"a": tensor}))["a"]) == bits(tensor)


def test_tied_weights_are_written_in_full_under_each_of_their_names() -> None:
    model: Any = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    model[1].weight = model[0].weight
    file = written(model.state_dict())
    views = tensor_views(file)
    assert sorted(views) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert views["0.weight"].equal(views["1.weight"])
    assert views["0.weight"].data_ptr() != views["1.weight"].data_ptr()
    # A model that is tied the same way stays tied when it is loaded.
    with torch.no_grad():
        model[0].weight.zero_()
    load_state_dict_from(file, model)
    assert model[0].weight is model[1].weight
    assert model[1].weight.equal(views["1.weight"])


def test_gradients_and_inference_tensors_play_no_part() -> None:
    leaf = torch.nn.Parameter(torch.ones(3))
    with torch.inference_mode():
        inferred = torch.ones(3) * 2
    tensors = {"leaf": leaf, "result": leaf * 3, "inferred": inferred}
    views = tensor_views(written(tensors))
    assert {name: view.tolist() for name, view in views.items()} == {
        "leaf": [1.0] * 3,
        "result": [3.0] * 3,
        "inferred": [2.0] * 3,
    }
    assert not any(view.requires_grad for view in views.values())


# --- what is refused ---


def sparse() -> "torch.Tensor":
    return torch.eye(2).to_sparse()


def nested() -> "torch.Tensor":
    return torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)], layout=torch.jagged)


def quantised() -> "torch.Tensor":
    return torch._empty_affine_quantized([2], scale=1.0, zero_point=0, dtype=torch.qint8)


def fake() -> "torch.Tensor":
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.zeros(2)


def lazy() -> "torch.Tensor":
    return torch.nn.LazyLinear(2).weight


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "sparse": (sparse, "it is torch.sparse_coo, not strided; call to_dense() on it"),
    "compressed": (lambda: torch.eye(2).to_sparse_csr(), "call to_dense() on it"),
    "nested": (nested, "it is nested"),
    "quantised": (quantised, "it is quantised"),
    "lazy": (lazy, "it is lazy, with no shape yet"),
    "meta": (lambda: torch.zeros(2, device="meta"), "it is on the meta device"),
    "fake": (fake, "it is a FakeTensor; make a plain torch.Tensor of it"),
    "complex128": (lambda: torch.zeros(2, dtype=torch.complex128), "no dtype for torch.complex128"),
    "bits": (lambda: torch.empty(2, dtype=torch.bits8), "no dtype for torch.bits8"),
    "f4 scalar": (lambda: drawn("float4_e2m1fn_x2"), "reshape it to 1"),
    "huge": (lambda: torch.zeros(1).expand(2**31, 2**31), "more than 2^64 - 1 bits"),
    "list": (lambda: [1.0], "it is a list, not a tensor"),
    "none": (lambda: None, "it is a NoneType, not a tensor"),
}


@pytest.mark.filterwarnings("ignore")  # half of these announce themselves as experimental
@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_format_cannot_say_is_refused_by_name(kind: str) -> None:
    make, said = REFUSED[kind]
    tensors: Any = {"good": torch.zeros(1), "layer.odd": make()}
    with pytest.raises(SafetensorsError) as caught:
        plan_layout(tensors)
    assert caught.value.fault == "unsupported"
    assert str(caught.value).startswith("Cannot write tensor 'layer.odd' as safetensors: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("__metadata__", "the format keeps that name for itself"),
        (7, "Cannot write a tensor under the name 7: use a str"),
        (None, "under the name None"),
        ("a\ud800", "has a lone surrogate"),
    ],
)
def test_a_name_is_a_text_that_utf_8_can_hold(name: Any, said: str) -> None:
    with pytest.raises(SafetensorsError) as caught:
        plan_layout({name: torch.zeros(1)})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"a": 1}, "Cannot write the metadata 'a': 1; both must be str"),
        ({1: "a"}, "Cannot write the metadata 1: 'a'; both must be str"),
        ({"a": "\udfff"}, "the metadata of 'a': it has a lone surrogate"),
        ({"\udfff": "a"}, "it has a lone surrogate"),
    ],
)
def test_metadata_are_texts_that_utf_8_can_hold(metadata: Any, said: str) -> None:
    with pytest.raises(SafetensorsError) as caught:
        plan_layout({}, metadata)
    assert said in str(caught.value)


def test_a_header_that_no_reader_takes_is_refused() -> None:
    with pytest.raises(SafetensorsError, match="the limit is 100000000"):
        plan_layout({}, {"a": "x" * 100_000_000})


# --- the layout, and what must still fit it ---


def test_a_layout_says_where_each_tensor_goes_before_anything_is_written() -> None:
    tensors = {"b": drawn("int8", 3), "a": drawn("float32", 2), "c": drawn("float32", 1)}
    layout = plan_layout(tensors)
    assert [(info.name, info.offset, info.nbytes) for info in layout.tensors] == [
        ("a", 0, 8),
        ("c", 8, 4),
        ("b", 12, 3),
    ]
    assert layout.total_bytes == len(layout.head) + 15
    assert len(layout.head) % 8 == 0
    assert parse_header(written(tensors)).tensors == layout.tensors


def planned() -> "tuple[Layout, dict[str, Any]]":
    tensors = {"a": torch.ones(2, 3), "b": torch.ones(4, dtype=torch.int64)}
    return plan_layout(tensors), tensors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": None}, "'a' is missing"),
        ({"extra": [1]}, "'extra' is new"),
        ({3: [1]}, "3 is new"),
        ({"a": [3, 2]}, "'a' is F32 of shape [3, 2], and was F32 of shape [2, 3]"),
        ({"a": [2, 4]}, "'a' is F32 of shape [2, 4], and was F32 of shape [2, 3]"),
        ({"b": [4]}, "'b' is F32 of shape [4], and was I64 of shape [4]"),
    ],
)
def test_tensors_that_fit_their_layout_no_more_are_named_and_nothing_is_written(
    change: "dict[Any, Any]", said: str
) -> None:
    layout, tensors = planned()
    for name, shape in change.items():
        if shape is None:
            del tensors[name]
        else:
            tensors[name] = torch.ones(shape)
    memory = bytearray(layout.total_bytes)
    with pytest.raises(SafetensorsError, match="differ from their layout") as caught:
        write_tensors(layout, tensors, memory)
    assert caught.value.fault == "mismatch"
    assert said in str(caught.value)
    assert memory == bytes(layout.total_bytes)


def test_values_may_change_after_planning() -> None:
    layout, tensors = planned()
    tensors["a"] = torch.full((2, 3), 5.0)
    memory = bytearray(layout.total_bytes)
    write_tensors(layout, tensors, memory)
    assert bytes(memory) == package(tensors)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda size: bytes(size), "read-only memory"),
        (lambda size: memoryview(bytearray(size)).toreadonly(), "read-only memory"),
        (lambda size: bytearray(size - 1), "the layout needs"),
        (lambda size: bytearray(size + 1), "the layout needs"),
        (lambda size: bytearray(), "to 0 bytes"),
        (lambda size: memoryview(bytearray(2 * size))[::2], "that are not contiguous"),
    ],
    ids=["bytes", "read-only view", "too small", "too large", "empty", "strided"],
)
def test_memory_that_does_not_fit_is_refused(make: Callable[[int], Any], said: str) -> None:
    layout, tensors = planned()
    with pytest.raises(SafetensorsError) as caught:
        write_tensors(layout, tensors, make(layout.total_bytes))
    assert caught.value.fault == "buffer"
    assert said in str(caught.value)


@pytest.mark.parametrize("shift", range(1, 8))
def test_memory_of_any_alignment_will_do(shift: int) -> None:
    tensors = {
        "a": drawn("float64", 3),
        "b": drawn("int16", 2, 3).t(),
        "c": drawn("complex64", 2).conj(),
        "d": drawn("bool"),
    }
    layout = plan_layout(tensors)
    memory = bytearray(b"\xaa" * (layout.total_bytes + 8))
    write_tensors(layout, tensors, memoryview(memory)[shift : shift + layout.total_bytes])
    assert bytes(memory[shift : shift + layout.total_bytes]) == written(tensors)
    assert memory[:shift] == b"\xaa" * shift
    assert memory[shift + layout.total_bytes :] == b"\xaa" * (8 - shift)


@pytest.mark.parametrize("fail", [False, True])
def test_the_memory_is_not_kept_nor_locked_after_success_or_refusal(fail: bool) -> None:
    layout, tensors = planned()
    tensors["a"] = torch.nn.Parameter(tensors["a"])  # autograd keeps nothing either
    memory = Memory(layout.total_bytes - fail)
    reference = weakref.ref(memory)
    gc.collect()
    gc.disable()
    try:
        try:
            write_tensors(layout, tensors, memory)
        except SafetensorsError as error:
            error.__traceback__ = None
        memory.append(0)  # BufferError while an export is out
        del memory
        assert reference() is None
    finally:
        gc.enable()
