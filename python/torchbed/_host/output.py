"""sys.stdout and sys.stderr that end in the host's streams, so that output keeps its order."""

import codecs
import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable


class HostStream(io.RawIOBase):
    """The raw end of a standard stream: takes UTF-8 bytes, hands text to the host. Any thread."""

    def __init__(self, stream: int, name: str, deliver: Callable[[int, str], None]) -> None:
        """stream: 1 or 2. name: such as `<stdout>`."""
        super().__init__()
        self.name = name
        self.mode = "wb"
        self._stream = stream
        self._deliver = deliver
        # A chunk may end inside a character; bytes that are no UTF-8 are shown as \xNN.
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._lock = threading.RLock()  # a finalizer that prints may run at any place

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: object) -> int:
        """Deliver bytes; takes all of them."""
        chunk = bytes(data)  # type: ignore[call-overload]
        with self._lock:
            text = self._decoder.decode(chunk)
            if text:
                self._deliver(self._stream, text)
        return len(chunk)

    def fileno(self) -> int:
        """Raise: descriptors 1 and 2 belong to the host, which may write them asynchronously."""
        raise io.UnsupportedOperation(
            f"sys.{self.name.strip('<>')} goes through the host process and has no file "
            f"descriptor; where one is needed pass {self._stream}, or open a file"
        )


def redirect_standard_streams(deliver: Callable[[int, str], None]) -> None:
    """Replace sys.stdout, sys.stderr and their originals by streams over deliver(stream, text).

    They are ordinary line-buffered text streams (encoding utf-8, errors backslashreplace, so that
    no text fails to print) with a `buffer` for bytes. A part of a line is delivered on flush.
    sys.stdin becomes empty: descriptor 0 is the host's, and a hook that waits for it would hang.
    """
    for old in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            old.flush()
    _replace("stdout", _text_stream(1, "<stdout>", deliver))
    _replace("stderr", _text_stream(2, "<stderr>", deliver))
    _replace("stdin", open(os.devnull, encoding="utf-8"))  # noqa: SIM115


def share_standard_descriptors() -> bool:
    """Let the processes that hooks start have descriptors 0, 1 and 2.

    Node.js marks them close-on-exec and hands them on by itself to its own children; those of
    Python would have none, and would take the first files that they open for them. Where they are
    inherited, as in any other Python, is PEP 446.

    Returns True when this does not last: Node.js opens a terminal anew at its first use, with the
    mark.
    """
    if os.name != "posix":
        return False
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):  # closed by the host
            os.set_inheritable(descriptor, True)
    return any(os.isatty(descriptor) for descriptor in (0, 1, 2))


def flush_standard_streams() -> None:
    """Deliver what is buffered. Never raises, whatever user code made of the streams."""
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        with contextlib.suppress(BaseException):
            getattr(sys, name).flush()


def _replace(name: str, stream: io.TextIOWrapper) -> None:
    # The original too: libraries write to it when they find that sys.stdout was replaced.
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _text_stream(stream: int, name: str, deliver: Callable[[int, str], None]) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(HostStream(stream, name, deliver)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
