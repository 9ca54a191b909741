"""Safetensors headers from anyone, without and with the package beside ours."""

import json
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("hypothesis")

from hypothesis import strategies as st
from runs import holds, runs
from tensor_files import entry, file_of
from test_tensors_differential import STRICTER, damaged_file, our_verdict, package_verdict

from torchbed.tensors import SafetensorsError, parse_header

RIGHT = json.dumps(
    {"__metadata__": {"format": "pt"}, "a": entry("F32", [2], 0, 8), "b": entry("I8", [1], 8, 9)}
)
PIECES = ["{", "}", "[", "]", ":", ",", '"', "\\", "\\ud800", "0", "-1", "1e999", "9" * 5000, " "]
PIECES += [
    "null",
    "NaN",
    "[" * 5000,
    '{"":' * 200,
    '"x":1,',
    '"a":{},',
    "\0",
    "é",
    "1" * 20,
    "\u0661",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    header = RIGHT
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(header)))
        header = (
            header[:at] + draw(st.sampled_from(PIECES)) + header[at + draw(st.integers(0, 5)) :]
        )
    raw = header.encode()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at:]
    length = draw(st.sampled_from([None, None, None, 0, 2**63, 2**64 - 1, len(raw) + 1]))
    return file_of(raw, draw(st.sampled_from([9, 9, 9, 0, 8])), length)


def test_a_header_is_refused_with_its_fault_or_its_tensors_fill_the_file() -> None:
    accepted = 0

    def check(file: bytes) -> None:
        nonlocal accepted
        try:
            header = parse_header(file)
        except SafetensorsError:
            return
        accepted += 1
        at = 0
        for info in header.tensors:
            assert info.offset == at
            at += info.nbytes
        assert header.data_start + at == len(file)

    holds("headers, by themselves", runs(500), st.one_of(damaged(), st.binary()), check)
    assert accepted > 0


@pytest.mark.torch
def test_a_header_has_the_verdict_that_the_package_gives_or_a_stricter_one(tmp_path: Path) -> None:
    def check(seed: int) -> None:
        file = damaged_file(Random(seed))
        theirs, ours = package_verdict(file, tmp_path / "file"), our_verdict(file)
        if ours.tensors is not None:
            assert ours == theirs
        elif theirs.tensors is not None:
            assert ours.reason in STRICTER

    seeds = st.integers(0, 2**64)
    holds("headers, beside the package safetensors", runs(300), seeds, check)
