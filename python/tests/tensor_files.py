"""Files for the tests of tensors, made by hand."""

import json
from collections.abc import Mapping


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
