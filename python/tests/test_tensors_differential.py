"""The verdicts of our reader beside those of the package, over files damaged in many ways."""

import json
import math
import random
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from tensor_files import entry, file_of

from torchbed.tensors import DTYPE_BITS, Fault, SafetensorsError, parse_header

pytestmark = pytest.mark.torch

SEED = 20260507
FILES = 8000

NAMES = ["a", "b.weight", "é", "", "x\0", "\U0001f600", "__proto__", "z"]
FIELDS = ["dtype", "shape", "data_offsets"]

TOKENS = [
    *["0", "1", "4", "-0", "-1", "1.0", "1e0", "1E+2", "01", "1e999", "2e", "0.", "null", "true"],
    *["NaN", "Infinity", "9007199254740991", "9007199254740992", str(2**64 - 1), str(2**64)],
    *["[]", "[0]", "[0,0]", "[0,4]", "[4,0]", "[0,0,0]", "[0", "{}", "{", "}", "]", ",", ":", " "],
    *['""', '"F32"', '"F4"', '"f32"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\q"', '"\t"', '"', "\\"],
    *["\u00a0", "\n", "//", f"[0,{2**64 - 1}]", "[4294967296,4294967296,0]", "[[[[0]]]]", "[true]"],
    *['{"a":"b"}', '{"a":"b","a":"c"}', '{"a":1}', '"dtype":"U8",', '"x":1,', '"__metadata__":{},'],
    *["[" * 200, "[" * 120 + "]" * 120, '{"":' * 130 + "0" + "}" * 130],
]
"""Texts that a header may hold at some place, and that are wrong at others."""

VALUES = {
    "dtype": [json.dumps(dtype) for dtype in DTYPE_BITS],
    "shape": ["[]", "[0]", "[1]", "[2,2]", "[4294967296,4294967296,0]", f"[0,{2**53}]", "[3]"],
    "data_offsets": [f"[{begin},{end}]" for begin in (0, 1, 4, 9) for end in (0, 1, 2, 4, 8, 12)],
}
"""Values of the right type for each field."""


class Draft:
    """A right file, but for packed tensors that do not fill a byte, as parts to be damaged."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.entries: dict[str, dict[str, str]] = {}
        self.metadata: str | None = None
        self.data = 0  # bytes
        self.misstated = 0  # what the header length is too large by
        for name in rng.sample(NAMES, rng.randint(0, 5)):
            dtype = rng.choice(list(DTYPE_BITS))
            shape = [rng.randint(0, 4) for _ in range(rng.randint(0, 3))]
            end = self.data + (math.prod(shape) * DTYPE_BITS[dtype] + 7) // 8
            fields = [f'"{dtype}"', json.dumps(shape), f"[{self.data},{end}]"]
            self.entries[name] = dict(zip(FIELDS, fields, strict=True))
            self.data = end
        self.header = b""

    def print(self) -> None:
        """Make the header out of its parts."""
        members = [
            f"{json.dumps(name, ensure_ascii=self.rng.random() < 0.5)}:"
            f"{{{','.join(f'{json.dumps(field)}:{text}' for field, text in fields.items())}}}"
            for name, fields in self.entries.items()
        ]
        if self.metadata is not None:
            members.insert(self.rng.randint(0, len(members)), f'"__metadata__":{self.metadata}')
        self.header = f"{{{','.join(members)}}}".encode()

    def damage_parts(self) -> None:
        """Damage what the header is made of."""
        kind = self.rng.choice(["value", "token", "drop", "metadata"])
        if kind == "metadata":
            self.metadata = self.rng.choice(TOKENS)
            return
        if not self.entries:
            return
        fields = self.rng.choice(list(self.entries.values()))
        field = self.rng.choice(FIELDS)
        if kind == "drop":
            fields.pop(field, None)
        else:
            fields[field] = self.rng.choice(VALUES[field] if kind == "value" else TOKENS)

    def damage_text(self) -> None:
        """Damage the header's text, the data, or the length."""
        rng, header = self.rng, self.header
        at = rng.randint(0, len(header))
        before, after = header[:at], header[at:]
        kind = rng.choice(["insert", "cut", "byte", "repeat", "pad", "data", "length"])
        if kind == "insert":
            self.header = before + rng.choice(TOKENS).encode() + after
        elif kind == "cut":
            self.header = before + after[rng.randint(1, 6) :]
        elif kind == "byte":
            self.header = before + bytes([rng.randint(0, 255)]) + after[1:]
        elif kind == "repeat":
            self.header = before + after[: rng.randint(0, 40)] + after
        elif kind == "pad":
            self.header += rng.choice([b" ", b"\n", b"\t", b"\0", b"{}"])
        elif kind == "data":
            self.data = max(0, self.data + rng.randint(-3, 3))
        else:
            self.misstated += rng.randint(-20, 20)

    def file(self) -> bytes:
        return file_of(self.header, self.data, (len(self.header) + self.misstated) % 2**64)


def damaged_file(rng: random.Random) -> bytes:
    draft = Draft(rng)
    damages = rng.randint(0, 2)
    of_parts = rng.randint(0, damages)
    for _ in range(of_parts):
        draft.damage_parts()
    draft.print()
    for _ in range(damages - of_parts):
        draft.damage_text()
    return draft.file()


class Verdict(NamedTuple):
    """What a reader found in a file, or why it refused it."""

    tensors: dict[str, tuple[str, list[int], int]] | None = None
    metadata: object = None
    reason: str = ""


def package_verdict(file: bytes, path: Path) -> Verdict:
    from safetensors import SafetensorError, deserialize, safe_open

    try:
        found = {
            name: (info["dtype"], info["shape"], len(info["data"]))
            for name, info in deserialize(file)  # type: ignore[no-untyped-call]
        }
        path.write_bytes(file)
        with safe_open(path, "numpy") as opened:
            return Verdict(found, opened.metadata())
    except SafetensorError as error:
        return Verdict(reason=str(error))


def our_verdict(file: bytes) -> Verdict:
    try:
        header = parse_header(file)
    except SafetensorsError as error:
        return Verdict(reason=error.fault)
    found = {info.name: (info.dtype, list(info.shape), info.nbytes) for info in header.tensors}
    return Verdict(found, header.metadata)


STRICTER = {"duplicate_name", "header_start", "dimension"}
"""Where our reader is stricter on purpose, for damages as they come up at random."""

TESTED_ELSEWHERE = {"header_too_small", "unsupported", "mismatch", "buffer"}


def test_the_verdicts_are_the_same_or_ours_is_stricter_on_purpose(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    tally: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for _ in range(FILES):
        file = damaged_file(rng)
        theirs, ours = package_verdict(file, tmp_path / "file"), our_verdict(file)
        faults[ours.reason] += 1
        if ours.tensors is None and theirs.tensors is not None:
            assert ours.reason in STRICTER, (file, ours)
            tally["stricter"] += 1
        elif ours.tensors is None:
            tally["both refuse"] += 1
        else:
            assert ours == theirs, file
            tally["both accept"] += 1
    # The files are of no use unless they reach every rule, and both verdicts often.
    assert tally["both accept"] > FILES / 10, tally
    assert tally["both refuse"] > FILES / 10, tally
    assert set(get_args(Fault)) - set(faults) == TESTED_ELSEWHERE, faults


@pytest.mark.parametrize(
    ("fault", "file"),
    [
        ("header_start", file_of(' {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1)),
        ("duplicate_name", file_of('{"__metadata__":{"a":"b","a":"c"}}')),
        ("json", file_of('{"a":["U8",[1],[0,1]]}', 1)),
        ("json", file_of('{"a":{"dtype":{"U8":null},"shape":[1],"data_offsets":[0,1]}}', 1)),
        ("dimension", file_of({"a": entry("U8", [0, 2**53], 0, 0)})),
    ],
)
def test_ours_is_stricter_than_the_package_at_these_points(
    fault: str, file: bytes, tmp_path: Path
) -> None:
    assert package_verdict(file, tmp_path / "file").tensors is not None
    assert our_verdict(file).reason == fault


def test_both_know_the_same_dtypes(tmp_path: Path) -> None:
    # The package lists what it knows when it is asked for anything else.
    verdict = package_verdict(file_of({"a": entry("?", [0], 0, 0)}), tmp_path / "file")
    listed = re.search(r"expected one of (.*?) at line", verdict.reason)
    assert listed is not None
    assert re.findall(r"\w+", listed[1]) == list(DTYPE_BITS)
