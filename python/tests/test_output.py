"""What becomes of print, logging, progress bars and raw bytes in an embedded Python."""

import contextlib
import faulthandler
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchbed._host.output import HostStream, flush_standard_streams, redirect_standard_streams


class Recorder:
    def __init__(self) -> None:
        self.pieces: list[tuple[int, str]] = []

    def __call__(self, stream: int, text: str) -> None:
        self.pieces.append((stream, text))

    def text(self, stream: int = 1) -> str:
        return "".join(text for where, text in self.pieces if where == stream)


@contextlib.contextmanager
def redirected() -> Iterator[Recorder]:
    """Inside a test, as pytest puts its own streams in place after fixtures are set up."""
    names = ("stdout", "stderr", "stdin", "__stdout__", "__stderr__", "__stdin__")
    before = {name: getattr(sys, name) for name in names}
    recorder = Recorder()
    redirect_standard_streams(recorder)
    empty = sys.stdin
    try:
        yield recorder
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)
        empty.close()


def test_lines_are_delivered_whole_and_at_once() -> None:
    with redirected() as recorder:
        print("one", 2, end="")
        assert recorder.pieces == []
        print(" three")
        print("err", file=sys.stderr)
        assert recorder.pieces == [(1, "one 2 three\n"), (2, "err\n")]


def test_a_part_of_a_line_is_delivered_on_flush() -> None:
    with redirected() as recorder:
        print("50 %", end="", flush=True)
        assert recorder.pieces == [(1, "50 %")]
        print(" rest", end="")
        flush_standard_streams()
        assert recorder.text() == "50 % rest"


def test_a_progress_bar_is_delivered_as_it_moves() -> None:
    with redirected() as recorder:
        sys.stderr.write("\r10 %")
        assert recorder.text(2) == "\r10 %"


def test_bytes_written_to_the_buffer_arrive_as_text() -> None:
    with redirected() as recorder:
        sys.stdout.buffer.write("grün\n".encode())
        sys.stdout.buffer.write(b"\xff\n")
        sys.stdout.buffer.flush()
        assert recorder.text() == "grün\n\\xff\n"


def test_text_that_cannot_be_encoded_is_printed_with_escapes() -> None:
    with redirected() as recorder:
        print("name \udc80")
        assert recorder.text() == "name \\udc80\n"


@given(st.text(), st.integers(1, 5))
def test_a_character_may_be_split_over_writes(text: str, size: int) -> None:
    recorder = Recorder()
    stream = HostStream(1, "<stdout>", recorder)
    data = text.encode(errors="replace")
    for start in range(0, len(data), size):
        assert stream.write(data[start : start + size]) == len(data[start : start + size])
    assert recorder.text() == data.decode()


def test_long_output_without_a_line_end_is_not_hoarded() -> None:
    with redirected() as recorder:
        for _ in range(100):
            sys.stdout.write("x" * 1000)
        assert len(recorder.text()) > 80_000


def test_lines_of_several_threads_stay_whole() -> None:
    with redirected() as recorder:

        def work(name: str) -> None:
            for _ in range(200):
                sys.stdout.write(f"{name * 50}\n")

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lines = recorder.text().splitlines()
        assert len(lines) == 800
        assert set(lines) == {name * 50 for name in "abcd"}


def test_logging_and_warnings_and_tracebacks_go_to_stderr() -> None:
    with redirected() as recorder:
        logger = logging.Logger("test")
        logger.addHandler(logging.StreamHandler())
        logger.warning("careful")
        try:
            raise ValueError("shown")
        except ValueError as error:
            sys.excepthook(ValueError, error, error.__traceback__)
        assert recorder.text(2).startswith("careful\n")
        assert recorder.text(2).endswith("ValueError: shown\n")


def test_the_streams_look_like_ordinary_ones_that_are_no_terminal() -> None:
    with redirected():
        for stream, name in ((sys.stdout, "<stdout>"), (sys.stderr, "<stderr>")):
            assert isinstance(stream, io.TextIOWrapper)
            assert (stream.encoding, stream.errors) == ("utf-8", "backslashreplace")
            assert (stream.name, stream.line_buffering) == (name, True)
            assert (stream.isatty(), stream.writable(), stream.readable()) == (False, True, False)
        assert (sys.stdout, sys.stderr, sys.stdin) == (
            sys.__stdout__,
            sys.__stderr__,
            sys.__stdin__,
        )


def test_they_have_no_descriptor_and_say_what_to_pass_instead() -> None:
    with redirected():
        with pytest.raises(io.UnsupportedOperation, match=r"sys\.stderr .* pass 2"):
            sys.stderr.fileno()
        with pytest.raises(io.UnsupportedOperation, match="pass 1"):
            subprocess.run([sys.executable, "-c", ""], stdout=sys.stdout)
        with pytest.raises(io.UnsupportedOperation, match="pass 2"):
            faulthandler.dump_traceback()


def test_descriptor_2_is_good_for_faulthandler() -> None:
    reader, writer = os.pipe()
    saved = os.dup(2)
    try:
        os.dup2(writer, 2)
        faulthandler.dump_traceback(file=2, all_threads=False)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(writer)
    with open(reader, "rb") as file:
        assert b"test_descriptor_2_is_good_for_faulthandler" in file.read()


def test_stdin_is_empty() -> None:
    with redirected(), pytest.raises(EOFError):
        input()


def test_flushing_survives_whatever_user_code_put_in_place() -> None:
    with redirected() as recorder:
        setattr(sys, "stdout", None)  # noqa: B010
        setattr(sys, "stderr", object())  # noqa: B010
        assert sys.__stdout__ is not None
        sys.__stdout__.write("kept")
        flush_standard_streams()
    assert recorder.text() == "kept"


def test_a_bridge_that_fails_does_not_break_later_output() -> None:
    recorder = Recorder()
    broken = True

    def deliver(stream: int, text: str) -> None:
        if broken:
            raise OSError("closed")
        recorder(stream, text)

    stream = HostStream(1, "<stdout>", deliver)
    with pytest.raises(OSError, match="closed"):
        stream.write(b"lost")
    broken = False
    stream.write(b"kept")
    assert recorder.text() == "kept"
