"""Reads and writes artifact files for workloads that load and materialise bytes."""

import contextlib
import os
import tempfile


def read_artifact(path: str) -> bytes:
    """Return the whole file."""
    with open(path, "rb") as file:
        return file.read()


def write_artifact(path: str, data: bytes | bytearray | memoryview) -> None:
    """Write the whole file, or leave what was there: a reader never sees a part of it."""
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)}.", suffix=".tmp", dir=os.path.dirname(path) or "."
    )
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
