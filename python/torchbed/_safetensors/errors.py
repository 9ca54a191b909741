"""The error of safetensors files, read or written."""

from typing import Literal, NoReturn

from .._host.failures import quoted

Fault = Literal[
    # A header that contradicts the format or the length of the file, as lib/safetensors names it.
    "header_too_small",  # fewer than eight bytes, so that there is no header length
    "header_too_large",  # the header length exceeds the limit
    "header_length",  # the header goes beyond the end of the file
    "header_start",  # the header does not begin with {
    "encoding",  # the header is not UTF-8
    "json",  # it is not JSON, or its JSON does not have the form of a header
    "duplicate_name",  # the same name twice in one object
    "dimension",  # a dimension is beyond 2^53 - 1, which JavaScript cannot hold exactly
    "offset",  # tensors leave a hole, overlap, or end before they begin
    "size",  # the bytes of a tensor are not its shape times its dtype
    "alignment",  # a tensor of a packed dtype does not end with a whole byte
    "overflow",  # shape times dtype exceeds 64 bits
    "data_length",  # the tensors end before or after the end of the file
    # What is right by the format, and still cannot be done.
    "unsupported",  # this torch has no such tensor, or the format cannot say it
    "mismatch",  # tensors do not fit the layout or the model
    "buffer",  # the memory to write to is read-only, or of another size
]

MAX_CLIPPED_CHARS = 80
"""Longest name or text from a file that a message quotes, in characters."""


class SafetensorsError(ValueError):
    """A file cannot be read, or tensors cannot be written. `fault` says what kind of reason."""

    def __init__(self, message: str, fault: Fault = "unsupported") -> None:
        super().__init__(message)
        self.fault: Fault = fault


def refuse_header(fault: Fault, problem: str) -> NoReturn:
    """Raise for a header that cannot be used."""
    raise SafetensorsError(
        f"Cannot use the safetensors header: {problem}; write the file again or get an intact copy",
        fault,
    )


def clip(text: str) -> str:
    """Quote a text of any length for a message."""
    if len(text) <= MAX_CLIPPED_CHARS:
        return quoted(text)
    return f"{quoted(text[:MAX_CLIPPED_CHARS])}… ({len(text)} characters)"
