"""Files for the tests of tensors, made by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def run_python(
    code: str, *options: str, timeout: float = 120
) -> "subprocess.CompletedProcess[str]":
    """Run code in an interpreter of its own that finds the package."""
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file_of(
    header: str | bytes | Mapping[str, object], data: int | bytes = b"", length: int | None = None
) -> bytes:
    """A file with this header and data (a number: so many zeros), right or wrong.

    length: what the file says of its header's length, when that is not the truth.
    """
    if isinstance(header, Mapping):
        header = json.dumps(header)
    raw = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    stated = len(raw) if length is None else length
    return stated.to_bytes(8, "little") + raw + (bytes(data) if isinstance(data, int) else data)
