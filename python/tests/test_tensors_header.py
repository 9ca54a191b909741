"""The header of a safetensors file: what is read, and one test per way a header can lie."""

import array
import gc
import json
import pickle
import threading
import time
import weakref

import pytest
from tensor_files import entry, file_of, run_python

from torchbed.tensors import DTYPE_BITS, Header, SafetensorsError, TensorInfo, parse_header


def fault_of(file: bytes, said: str = "") -> str:
    with pytest.raises(SafetensorsError) as caught:
        parse_header(file)
    assert str(caught.value).startswith("Cannot use the safetensors header: ")
    assert said in str(caught.value)
    return caught.value.fault


# --- what is read ---


def test_tensors_come_in_the_order_of_their_data_with_the_metadata() -> None:
    header = {
        "b": entry("F32", [2, 1], 8, 16),
        "__metadata__": {"format": "pt"},
        "a": entry("I64", [], 0, 8),
    }
    file = file_of(header, 16)
    assert parse_header(file) == Header(
        data_start=len(file) - 16,
        metadata={"format": "pt"},
        tensors=(TensorInfo("a", "I64", (), 0, 8), TensorInfo("b", "F32", (2, 1), 8, 8)),
    )


def test_tensors_without_data_at_one_place_come_in_the_order_of_their_names() -> None:
    header = {name: entry("F32", [0], 4, 4) for name in "cab"} | {"z": entry("F32", [1], 0, 4)}
    assert [info.name for info in parse_header(file_of(header, 4)).tensors] == list("zabc")


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        ("{}", None),
        ("{ \n\t\r}  ", None),
        ('{"__metadata__":null}', None),
        ('{"__metadata__":{}}', {}),
        ('{"__metadata__":{"\\u00e9":"\\ud83d\\ude00\\n","":"{[\\""}}', {"é": "😀\n", "": '{["'}),
    ],
)
def test_a_file_may_have_no_tensor(text: str, metadata: object) -> None:
    header = parse_header(file_of(text))
    assert (header.tensors, header.metadata) == ((), metadata)


def test_white_space_other_fields_and_escapes_are_taken_as_json_has_them() -> None:
    text = """{ "\\u0061" : { "x" : [ {"dtype": 1, "dtype": 2}, [], -0.5e+1, true, "\\\\" ] ,
        "shape":[ 1 , 2 ], "data_offsets" :[0 ,2], "dtype":"U8" } }"""
    assert parse_header(file_of(text, 2)).tensors == (TensorInfo("a", "U8", (1, 2), 0, 2),)


@pytest.mark.parametrize("dtype", DTYPE_BITS)
def test_every_dtype_has_its_own_size_and_no_other(dtype: str) -> None:
    size = DTYPE_BITS[dtype]
    parse_header(file_of({"a": entry(dtype, [2, 4], 0, size)}, size))
    for wrong in (size - 1, size + 1):
        assert fault_of(file_of({"a": entry(dtype, [2, 4], 0, wrong)}, wrong)) == "size"


def as_floats(file: bytes) -> "memoryview[float]":
    return memoryview(file).cast("d")


@pytest.mark.parametrize(
    "kind",
    [bytes, bytearray, memoryview, lambda file: array.array("b", file), as_floats],
    ids=["bytes", "bytearray", "memoryview", "array", "memoryview of floats"],
)
def test_any_contiguous_memory_will_do(kind: type) -> None:
    file = file_of({"a": entry("U8", [8], 0, 8)} | {"__metadata__": {"pad": "x" * 7}}, 8)
    assert parse_header(kind(file)) == parse_header(file)


def test_what_is_no_contiguous_memory_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="contiguous memory, got strides"):
        parse_header(memoryview(file_of("{}"))[::2])
    with pytest.raises(TypeError):
        parse_header(17)  # type: ignore[arg-type]


def test_the_memory_is_not_kept_nor_locked_after_success_or_refusal() -> None:
    class Exporter(bytearray):
        pass

    for file in (file_of({"a": entry("U8", [1], 0, 1)}, 1), file_of("{x"), b"1"):
        exporter = Exporter(file)
        reference = weakref.ref(exporter)
        try:
            parse_header(exporter)
        except SafetensorsError as error:
            error.__traceback__ = None
        exporter.append(0)  # BufferError while an export is out
        del exporter
        assert reference() is None


def test_reading_needs_neither_torch_nor_the_package() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        "import torchbed.tensors as t\n"
        "print(t.parse_header(b'\\x02' + bytes(7) + b'{}').tensors)"
    )
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("()\n", "")


# --- the length ---


@pytest.mark.parametrize("size", range(8))
def test_a_file_must_have_a_header_length(size: int) -> None:
    assert fault_of(bytes(size), f"{size} bytes are too few") == "header_too_small"


def test_a_header_has_at_most_100_000_000_bytes_or_the_limit_given() -> None:
    assert fault_of(file_of("{}", length=100_000_001), "limit of 100000000") == "header_too_large"
    assert fault_of(file_of("{}", length=100_000_000)) == "header_length"
    assert fault_of(file_of("{}", length=2**64 - 1)) == "header_too_large"
    assert parse_header(file_of("{}"), max_header_bytes=2).tensors == ()
    with pytest.raises(SafetensorsError, match="3 bytes, exceeds the limit of 2"):
        parse_header(file_of("{ }"), max_header_bytes=2)


def test_a_header_ends_within_the_file() -> None:
    assert fault_of(file_of("{}", length=3), "end at byte 11, but there are only 10") == (
        "header_length"
    )


# --- the text ---


@pytest.mark.parametrize("text", ["", " {}", "[]", "\ufeff{}", "\0{}"])
def test_a_header_begins_with_a_brace(text: str) -> None:
    assert fault_of(file_of(text)) == "header_start"


@pytest.mark.parametrize("raw", [b'{"\xff":1}', b"{}\xc0\x80", b'{"\xed\xa0\x80":1}', b"{\xe2\x82"])
def test_a_header_is_utf_8(raw: bytes) -> None:
    assert fault_of(file_of(raw)) == "encoding"


WRONG_JSON = [
    *[
        "{",
        "{}}",
        "{}\0",
        "{} x",
        "{,}",
        '{"a"}',
        '{"a":',
        "{a:1}",
        "{'a':1}",
        '{"a":{},}',
        "{1:1}",
    ],
    *['{"a\n":{}}', '{"\\q":{}}', '{"\\u12":{}}', '{"\\ud800":{}}', '{"\\udc00\\ud800":{}}'],
    *['{"a', '{"a\\"', '{"a\\', "{//\n}", "{\u00a0}", "{\f}", "{\u2028}"],
]
WRONG_VALUES = [
    *["01", "+1", "1.", ".5", "1e", "1e999", "-1e999", "1" * 400, "0x1", "1_0", "-", "--1", "1-1"],
    *[
        "NaN",
        "Infinity",
        "-Infinity",
        "True",
        "nul",
        "nulll",
        "undefined",
        "[1,]",
        "[1",
        "[1}",
        "[",
    ],
    *['{"b":1,}', '{"b":}', '{"b"}', '"\t"', '"\\ud800"', "٣", "[٣]", "1e٣", "'a'", ""],
]


@pytest.mark.parametrize(
    "text",
    [
        *WRONG_JSON,
        *(
            f'{{"a":{{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":{value}}}}}'
            for value in WRONG_VALUES
        ),
    ],
)
def test_a_header_is_json_in_its_ignored_parts_too(text: str) -> None:
    assert fault_of(file_of(text, 1)) == "json"


def test_a_header_is_nested_no_deeper_than_127_levels() -> None:
    def nested(levels: int, opening: str, closing: str) -> bytes:
        value = opening * (levels - 2) + "0" + closing * (levels - 2)
        return file_of(f'{{"a":{{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":{value}}}}}', 0)

    for opening, closing in (("[", "]"), ('{"":', "}")):
        parse_header(nested(127, opening, closing))
        assert fault_of(nested(128, opening, closing), "deeper than 127 levels") == "json"
        assert fault_of(nested(1_000_000, opening, closing)) == "json"


def test_deep_json_does_no_harm_where_recursion_is_unlimited() -> None:
    code = """if True:
        import sys
        sys.setrecursionlimit(10**9)
        from torchbed.tensors import SafetensorsError, parse_header
        text = b'{"a":{"x":' + b"[" * 10_000_000
        try: parse_header(len(text).to_bytes(8, "little") + text)
        except SafetensorsError as error: print(error.fault)
    """
    done = run_python(code)
    assert (done.returncode, done.stdout) == (0, "json\n")


# --- the form ---

RIGHT = {"dtype": '"U8"', "shape": "[1]", "data_offsets": "[0,1]"}


def with_field(name: str, value: str | None) -> bytes:
    fields = RIGHT | {name: value}
    members = ",".join(f'"{key}":{text}' for key, text in fields.items() if text is not None)
    return file_of(f'{{"a":{{{members}}}}}', 1)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{},"a":{}}',
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        '"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        '{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        '{"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}',
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}}',
        '{"__metadata__":{"a":"b","a":"b"}}',
        '{"__metadata__":null,"__metadata__":{}}',
    ],
)
def test_no_name_is_there_twice(text: str) -> None:
    text = text.replace("{}", '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}', 1)
    assert fault_of(file_of(text, 1)) == "duplicate_name"


@pytest.mark.parametrize("value", ["1", '"a"', "[]", "true", '{"a":1}', '{"a":null}', '{"a":{}}'])
def test_metadata_are_texts(value: str) -> None:
    assert fault_of(file_of(f'{{"__metadata__":{value}}}')) == "json"


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("value", [None, "null", "1", '"a"', "{}", "true", '["a"]', "[null]"])
def test_a_tensor_has_all_fields_in_their_types(name: str, value: str | None) -> None:
    assert fault_of(with_field(name, value)) == "json"


@pytest.mark.parametrize("value", ["null", "1", "[]", '"U8"', '["U8",[1],[0,1]]'])
def test_a_tensor_is_an_object(value: str) -> None:
    assert fault_of(file_of(f'{{"a":{value}}}', 1)) == "json"


@pytest.mark.parametrize("dtype", ["F128", "f32", "float32", "", " U8", "F8_E4M3FN", "U8\\u0000"])
def test_an_unknown_dtype_is_quoted(dtype: str) -> None:
    quoted = repr(json.loads(f'"{dtype}"'))
    assert fault_of(with_field("dtype", f'"{dtype}"'), f"{quoted} is not a known dtype") == "json"


NO_INTEGERS = ["-1", "-0", "1.0", "1e0", "true", "false", "null", '"1"', "[1]", "01", "2e0", "NaN"]


@pytest.mark.parametrize("number", [*NO_INTEGERS, str(2**64), "1" * 5000])
@pytest.mark.parametrize(("name", "value"), [("shape", "[{}]"), ("data_offsets", "[0,{}]")])
def test_dimensions_and_offsets_are_integers_from_0_to_2_to_the_64th(
    number: str, name: str, value: str
) -> None:
    assert fault_of(with_field(name, value.format(number))) == "json"


@pytest.mark.parametrize("number", [2**53, 2**64 - 1])
def test_dimensions_and_offsets_stop_at_what_javascript_can_hold(number: int) -> None:
    assert fault_of(with_field("shape", f"[0,{number}]"), f"{number} is beyond") == "dimension"
    assert fault_of(with_field("data_offsets", f"[0,{number}]")) == "offset"
    header = {"a": entry("U8", [0, 2**53 - 1], 0, 0)}
    assert parse_header(file_of(header)).tensors[0].shape == (0, 2**53 - 1)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("U8", [2**32, 2**32]),
        ("U8", [2**53 - 1, 2**53 - 1, 0]),
        ("U8", [2] * 100),
        ("F32", [2**30, 2**30]),
        ("F4", [2**32, 2**31]),
    ],
)
def test_the_size_of_a_tensor_may_not_exceed_64_bits_even_beside_a_0(
    dtype: str, shape: list[int]
) -> None:
    assert fault_of(file_of({"a": entry(dtype, shape, 0, 0)})) == "overflow"
    assert parse_header(file_of({"a": entry(dtype, [0, *shape], 0, 0)})).tensors[0].nbytes == 0


@pytest.mark.parametrize(("dtype", "shape"), [("F4", [3]), ("F4", []), ("F6_E2M3", [2, 3])])
def test_a_packed_tensor_fills_its_last_byte(dtype: str, shape: list[int]) -> None:
    assert fault_of(file_of({"a": entry(dtype, shape, 0, 2)}, 2)) == "alignment"


# --- the places ---


@pytest.mark.parametrize("places", ["[]", "[0]", "[0,1,1]"])
def test_a_tensor_has_two_offsets(places: str) -> None:
    assert fault_of(with_field("data_offsets", places), "instead of 2") == "json"


def test_tensors_leave_no_hole_do_not_overlap_and_begin_before_they_end() -> None:
    def pair(first: tuple[int, int], second: tuple[int, int]) -> bytes:
        (a, b), (c, d) = first, second
        return file_of({"a": entry("U8", [b - a], a, b), "b": entry("U8", [d - c], c, d)}, d)

    parse_header(pair((0, 2), (2, 4)))
    assert fault_of(pair((0, 2), (3, 5)), "'b' begins at byte 3 of the data, not at 2") == "offset"
    assert fault_of(pair((0, 2), (1, 4))) == "offset"
    assert fault_of(pair((1, 2), (2, 4))) == "offset"
    assert fault_of(pair((0, 2), (0, 2))) == "offset"
    assert fault_of(with_field("data_offsets", "[1,0]"), "ends at 0, before") == "offset"


@pytest.mark.parametrize("data", [0, 1, 3, 4])
def test_tensors_end_where_the_file_ends(data: int) -> None:
    file = file_of({"a": entry("U8", [2], 0, 2)}, data)
    assert fault_of(file, f"have 2 bytes, but the file has {data}") == "data_length"


def test_the_error_crosses_processes_with_its_fault() -> None:
    with pytest.raises(SafetensorsError) as caught:
        parse_header(b"")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.fault) == (str(caught.value), "header_too_small")


# --- hostile sizes ---


@pytest.mark.parametrize(
    "text",
    [
        '{"' + "x" * 1_000_000 + '":1}',
        '{"' + "\\n" * 500_000 + '":1}',
        '{"a":{"dtype":"' + "x" * 1_000_000 + '"}}',
        '{"a":{"dtype":"U8","shape":[' + "9" * 1_000_000 + "]}}",
        '{"a":{"dtype":"U8","data_offsets":[0,0],"shape":[' + "9," * 500_000 + "9]}}",
        '{"a":{"x":' + "1" * 1_000_000 + "}}",
    ],
    ids=["name", "escaped name", "dtype", "dimension", "shape", "number"],
)
def test_a_message_about_a_long_text_is_short(text: str) -> None:
    with pytest.raises(SafetensorsError) as caught:
        parse_header(file_of(text))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "unit",
    ['\\"', "\\\\", "\\u0041", "a", "é"],
    ids=["quotes", "backslashes", "escapes", "plain", "two bytes"],
)
@pytest.mark.parametrize("end", ['"', "", "\\q"])
def test_the_time_grows_with_the_length_only(unit: str, end: str) -> None:
    text = f'{{"a":{{"x":"{unit * 500_000}{end}'
    began = time.process_time()
    assert fault_of(file_of(text)) == "json"
    assert time.process_time() - began < 5  # seconds; anything quadratic takes minutes


def test_other_threads_run_while_a_long_header_is_read() -> None:
    count = 120_000
    # In no order, so that they must be sorted.
    names = ((index * 7919) % count for index in range(count))
    text = ",".join(f'"{name}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for name in names)
    raw = f"{{{text}}}".encode()
    data = len(raw).to_bytes(8, "little") + raw

    def longest_wait() -> float:
        waits = [0.0]
        ended = threading.Event()

        def tick() -> None:
            last = time.perf_counter()
            while not ended.wait(0.001):
                now = time.perf_counter()
                waits.append(now - last)
                last = now

        thread = threading.Thread(target=tick)
        thread.start()
        try:
            header = parse_header(data)
        finally:
            ended.set()
            thread.join()
        assert [info.name for info in header.tensors] == sorted(map(str, range(count)))
        return max(waits)

    # A collection over all that other tests have imported stops every thread for longer.
    gc.collect()
    gc.freeze()
    try:
        # The machine may be busy.
        assert min(longest_wait() for _ in range(3)) < 0.15
    finally:
        gc.unfreeze()
