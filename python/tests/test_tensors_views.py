"""tensor_views: what aliases the memory, what keeps it, what is a copy; load_state_dict_from."""

import ctypes
import gc
import json
import mmap
import sys
import warnings
import weakref
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tensor_files import entry, file_of, run_python

from torchbed.tensors import SafetensorsError, load_state_dict_from, tensor_views

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
if TYPE_CHECKING or find_spec("torch"):
    import torch

pytestmark = pytest.mark.torch

TORCH_NAMES = {
    "BOOL": "bool",
    "F4": "float4_e2m1fn_x2",
    "U8": "uint8",
    "I8": "int8",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "I16": "int16",
    "U16": "uint16",
    "F16": "float16",
    "BF16": "bfloat16",
    "I32": "int32",
    "U32": "uint32",
    "F32": "float32",
    "C64": "complex64",
    "F64": "float64",
    "I64": "int64",
    "U64": "uint64",
}


class Exporter(bytearray):
    """Writable memory that can be watched by a weak reference."""


@pytest.fixture(autouse=True)
def without_garbage_collector() -> Iterator[None]:
    """A reference cycle counts as kept."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def aligned(header: Mapping[str, object]) -> str:
    """Text of a header that ends at a multiple of 8 bytes, as writers make it."""
    text = json.dumps(header)
    return text + " " * (-len(text) % 8)


def floats(*values: float, name: str = "w") -> bytes:
    data = torch.tensor(values, dtype=torch.float32).numpy().tobytes()
    return file_of(aligned({name: entry("F32", [len(values)], 0, len(data))}), data)


# --- views ---


@pytest.mark.parametrize("name", TORCH_NAMES)
def test_a_view_of_every_dtype_has_the_bytes_that_the_package_reads(
    name: str, tmp_path: Path
) -> None:
    from safetensors import safe_open

    dtype: torch.dtype = getattr(torch, TORCH_NAMES[name])
    data = bytes(range(1, 251))[: 8 * dtype.itemsize]
    if name == "BOOL":
        data = bytes([0, 1, 1, 0, 1, 0, 0, 1])
    shape = [2, 8] if name == "F4" else [2, 4]
    file = file_of(aligned({"a": entry(name, shape, 0, len(data))}), data)
    view = tensor_views(file)["a"]
    (tmp_path / "file").write_bytes(file)
    with safe_open(tmp_path / "file", "pt") as opened:
        theirs = opened.get_tensor("a")
    assert (view.dtype, view.shape) == (theirs.dtype, theirs.shape) == (dtype, (2, 4))
    raw = view.view(-1).view(torch.uint8)
    assert bytes(raw.tolist()) == bytes(theirs.view(-1).view(torch.uint8).tolist()) == data


def test_a_view_shares_its_memory_with_a_writable_exporter_in_both_directions() -> None:
    exporter = Exporter(floats(1.0, 2.0))
    view = tensor_views(exporter)["w"]
    exporter[-4:] = b"\0\0\x80\x40"  # 4.0
    assert view.tolist() == [1.0, 4.0]
    view[0] = 8.0
    assert exporter[-8:] == b"\0\0\0\x41\0\0\x80\x40"


@pytest.mark.parametrize("kind", ["bytes", "memoryview", "mmap", "ctypes"])
def test_any_exporter_will_do(kind: str, tmp_path: Path) -> None:
    file = floats(1.0, 2.0)
    (tmp_path / "file").write_bytes(file)
    with open(tmp_path / "file", "rb") as opened:
        exporters: dict[str, ReadableBuffer] = {
            "bytes": file,
            "memoryview": memoryview(file),
            "mmap": mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ),
            "ctypes": (ctypes.c_char * len(file)).from_buffer_copy(file),
        }
    assert tensor_views(exporters[kind])["w"].tolist() == [1.0, 2.0]


def test_views_come_in_the_order_of_their_data() -> None:
    header = {name: entry("U8", [1], at, at + 1) for at, name in ((2, "a"), (0, "b"), (1, "c"))}
    views = tensor_views(file_of(aligned(header), b"xyz"))
    assert [(name, view.item()) for name, view in views.items()] == [
        ("b", ord("x")),
        ("c", ord("y")),
        ("a", ord("z")),
    ]


def test_a_scalar_has_the_shape_nothing() -> None:
    view = tensor_views(file_of(aligned({"a": entry("I16", [], 0, 2)}), b"\x01\x02"))["a"]
    assert (view.shape, view.item()) == (torch.Size([]), 0x0201)


@pytest.mark.parametrize("shape", [[0], [0, 3], [3, 0, 2], [2**53 - 1, 0]])
def test_an_empty_tensor_has_its_shape_and_dtype(shape: list[int]) -> None:
    with torch.device("meta"):  # where torch.empty would otherwise go
        view = tensor_views(file_of({"a": entry("F64", shape, 0, 0)}))["a"]
    assert (list(view.shape), view.dtype, view.device.type) == (shape, torch.float64, "cpu")


@pytest.mark.parametrize("shift", range(8))
def test_tensors_at_odd_places_are_copied_and_the_others_are_not(shift: int) -> None:
    """The format aligns nothing by itself: a header of any length, small dtypes first."""
    header = {
        "a": entry("U8", [1], 0, 1),
        "b": entry("F64", [2], 1, 17),
        "c": entry("I16", [2, 2], 17, 25),
    }
    data = b"\x07" + b"\0\0\0\0\0\0\xf0\x3f" * 2 + b"\1\2" * 4
    exporter = Exporter(file_of(aligned(header) + " " * shift, data))
    views = tensor_views(exporter)
    assert views["a"].item() == 7
    assert views["b"].tolist() == [1.0, 1.0]
    assert views["c"].tolist() == [[0x0201] * 2] * 2
    places = {name: ctypes.addressof(ctypes.c_char.from_buffer(exporter)) for name in views}
    for name, view in views.items():
        assert view.data_ptr() % view.element_size() == 0
        at = len(exporter) - len(data) + {"a": 0, "b": 1, "c": 17}[name]
        is_view = view.data_ptr() == places[name] + at
        assert is_view == ((places[name] + at) % view.element_size() == 0)


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "said"),
    [
        ("F6_E2M3", [4], 3, "this torch has no such dtype; convert it"),
        ("F6_E3M2", [4], 3, "this torch has no such dtype; convert it"),
        ("F4", [2, 3], 3, "the last dimension must be even"),
        ("F32", [0, 2**40, 2**40], 0, "too large for torch"),
    ],
)
def test_what_torch_cannot_have_is_refused_by_name(
    dtype: str, shape: list[int], size: int, said: str
) -> None:
    with pytest.raises(SafetensorsError) as caught:
        tensor_views(file_of({"odd": entry(dtype, shape, 0, size)}, size))
    assert caught.value.fault == "unsupported"
    assert f"'odd', {dtype} of shape {shape}" in str(caught.value)
    assert said in str(caught.value)


def test_a_file_with_a_wrong_header_is_refused() -> None:
    with pytest.raises(SafetensorsError) as caught:
        tensor_views(floats(1.0)[:-1])
    assert caught.value.fault == "data_length"


# --- who keeps the memory ---


def test_the_exporter_lives_as_long_as_a_view_or_a_slice_of_one() -> None:
    exporter = Exporter(floats(1.0, 2.0, 3.0))
    reference = weakref.ref(exporter)
    views = tensor_views(exporter)
    del exporter
    piece = views.pop("w")[1:]
    assert reference() is not None
    assert piece.tolist() == [2.0, 3.0]
    array = piece.numpy()
    del piece
    assert reference() is not None
    assert array.tolist() == [2.0, 3.0]
    del array
    assert reference() is None


def test_views_keep_a_reference_to_the_exporter_itself_and_no_export() -> None:
    """An export of a memoryview of ours could be released while a tensor reads the memory."""
    exporter = Exporter(floats(1.0))
    before = sys.getrefcount(exporter)
    views = tensor_views(exporter)
    assert sys.getrefcount(exporter) == before + 1
    exporter.append(0)  # BufferError while an export is out; the view is not read any more
    views.clear()
    assert sys.getrefcount(exporter) == before


def test_copies_and_empty_tensors_do_not_keep_the_exporter() -> None:
    header = {"a": entry("F32", [0], 0, 0), "b": entry("F32", [1], 0, 4)}
    text = aligned(header) + " "  # one byte off, so that b is a copy
    exporter = Exporter(file_of(text, b"\0\0\x80\x3f"))
    reference = weakref.ref(exporter)
    views = tensor_views(exporter)
    del exporter
    assert reference() is None
    assert views["b"].tolist() == [1.0]


@pytest.mark.parametrize("fail", [False, True])
def test_nothing_is_kept_after_loading_or_a_refusal(fail: bool) -> None:
    exporter = Exporter(floats(1.0, 2.0))
    reference = weakref.ref(exporter)
    target = {"w": torch.zeros(3 if fail else 2)}
    try:
        load_state_dict_from(exporter, target)
    except SafetensorsError as error:
        error.__traceback__ = None
    exporter.append(0)  # BufferError while an export is out
    del exporter
    assert reference() is None
    assert target["w"].tolist() == ([0.0] * 3 if fail else [1.0, 2.0])


# --- the warning about read-only memory ---

WARN = "import torch, warnings\nfrom torchbed.tensors import tensor_views\n"


def in_a_new_process(code: str, file: bytes, *options: str) -> str:
    """What code prints; `file` is there as bytes. Fresh, since torch warns once in a process."""
    done = run_python(f"file = {file!r}\n{WARN}{code}", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_read_only_memory_gives_no_warning_even_where_warnings_are_errors() -> None:
    code = "torch.set_warn_always(True)\nfor _ in 'ab': print(tensor_views(file)['w'].tolist())"
    assert in_a_new_process(code, floats(1.0), "-W", "error") == "[1.0]\n[1.0]\n"


def test_the_warning_of_others_is_not_hidden() -> None:
    code = (
        "torch.set_warn_always(True)\ntensor_views(file)\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    torch.frombuffer(file, dtype=torch.uint8)\n"
        "print([str(w.message)[:23] for w in seen])"
    )
    assert in_a_new_process(code, floats(1.0)) == "['The given buffer is not']\n"


def test_a_filter_that_another_thread_takes_away_at_once_ends_no_call() -> None:
    """As catch_warnings does when it ends; every warning is an error then."""
    code = "warnings.filterwarnings = lambda *_: None\nprint(tensor_views(file)['w'].tolist())"
    assert in_a_new_process(code, floats(1.0), "-W", "error") == "[1.0]\n"


# --- loading a model ---


def model() -> "torch.nn.Module":
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


def saved(tensors: "dict[str, torch.Tensor]") -> bytes:
    from safetensors.torch import save

    return save(tensors)


def test_a_module_and_a_mapping_are_loaded_from_what_the_package_wrote() -> None:
    source = model()
    file = saved(source.state_dict())
    module, mapping = model(), {k: torch.zeros_like(v) for k, v in source.state_dict().items()}
    load_state_dict_from(file, module)
    load_state_dict_from(Exporter(file), mapping)
    for name, tensor in source.state_dict().items():
        assert module.state_dict()[name].equal(tensor)
        assert mapping[name].equal(tensor)
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_parameters_are_loaded_from_a_mapping_of_them_too() -> None:
    source, target = model(), model()
    load_state_dict_from(
        saved({name: p.detach() for name, p in source.named_parameters()}),
        dict(target.named_parameters()),
    )
    assert [p.tolist() for p in target.parameters()] == [p.tolist() for p in source.parameters()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"0.weight": None}, "the file lacks '0.weight'"),
        ({"extra": [1]}, "the model lacks 'extra'"),
        ({"0.weight": [2, 4]}, "'0.weight' has the shape [2, 4], and [2, 3] in the model"),
        ({"0.weight": [6]}, "'0.weight' has the shape [6], and [2, 3] in the model"),
        ({"0.bias": "bfloat16"}, "'0.bias' is torch.bfloat16, and torch.float32 in the model"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_changes(
    change: dict[str, object], said: str
) -> None:
    tensors = {name: torch.ones_like(tensor) for name, tensor in model().state_dict().items()}
    for name, new in change.items():
        if new is None:
            del tensors[name]
        elif isinstance(new, list):
            tensors[name] = torch.ones(new)
        else:
            tensors[name] = tensors[name].to(getattr(torch, str(new)))
    module = model()
    for target in (module, module.state_dict()):
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        with pytest.raises(SafetensorsError, match="Cannot load the tensors") as caught:
            load_state_dict_from(saved(tensors), target)
        assert caught.value.fault == "mismatch"
        assert said in str(caught.value)
        assert all(before[name].equal(now) for name, now in module.state_dict().items())


def test_a_model_without_memory_is_refused() -> None:
    file = saved({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})
    with torch.device("meta"):
        on_meta = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}
    with pytest.raises(SafetensorsError, match=r"'(weight|bias)' has no memory in the model"):
        load_state_dict_from(file, on_meta)
    with (
        warnings.catch_warnings(),
        pytest.raises(SafetensorsError, match=r"'(weight|bias)' has no shape in the model yet"),
    ):
        warnings.simplefilter("ignore")  # lazy modules are announced as experimental
        load_state_dict_from(file, torch.nn.LazyLinear(2))
    with pytest.raises(SafetensorsError, match="'bias' is a float in the model, not a tensor"):
        load_state_dict_from(file, {"weight": torch.zeros(2, 3), "bias": 1.0})  # type: ignore[dict-item]
