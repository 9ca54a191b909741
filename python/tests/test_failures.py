"""What a caller is told of an exception in a hook: code, message, type, traceback."""

import shlex
import sys
from collections.abc import Callable

import pytest
from conftest import Caller
from hypothesis import example, given
from hypothesis import strategies as st

from torchbed import Cancelled
from torchbed._host.failures import (
    MAX_MESSAGE_CHARS,
    MAX_TRACEBACK_CHARS,
    Failure,
    describe,
    guarded,
    quoted,
)

Open = Callable[..., Caller]


def failure_of(open_workload: Open, body: str) -> Failure:
    """Return what `evaluate` with this body fails with."""
    lines = "\n".join(f"                {line}" for line in body.splitlines())
    caller = open_workload(f"""
        class W:
            def evaluate(self, state, split):
{lines}
    """)
    return caller.failure("evaluate", model_id=caller.new_model(), split="Test")


@pytest.mark.parametrize(
    ("statement", "message", "python_type"),
    [
        ("raise ValueError('too small')", "ValueError: too small", "ValueError"),
        ("raise ValueError", "ValueError", "ValueError"),
        ("{}['x']", "KeyError: 'x'", "KeyError"),
        ("raise SystemExit(3)", "SystemExit: 3", "SystemExit"),
        ("import sys; sys.exit('bye')", "SystemExit: bye", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit", "GeneratorExit"),
        ("raise StopIteration", "StopIteration", "StopIteration"),
        ("raise MemoryError('8 GB')", "MemoryError: 8 GB", "MemoryError"),
        ("raise BaseException('b')", "BaseException: b", "BaseException"),
        (
            "raise ExceptionGroup('both', [ValueError('a'), KeyError('b')])",
            "ExceptionGroup: both (2 sub-exceptions)",
            "ExceptionGroup",
        ),
        ("import json; json.loads('{')", None, "json.decoder.JSONDecodeError"),
    ],
)
def test_whatever_a_hook_raises_is_hook_raised_with_type_and_text(
    open_workload: Open, statement: str, message: str | None, python_type: str
) -> None:
    failure = failure_of(open_workload, statement)
    assert failure["code"] == "ERR_HOOK_RAISED"
    assert failure["python_type"] == python_type
    if message is not None:
        assert failure["message"] == message


def test_a_traceback_is_what_python_prints_starting_at_the_users_code(
    open_workload: Open,
) -> None:
    failure = failure_of(open_workload, "helper = lambda: 1 / 0\nhelper()")
    lines = failure["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "workload_" in lines[1] and "in evaluate" in lines[1]
    assert lines[2].strip() == "helper()"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "torchbed" not in failure["traceback"]


def test_a_traceback_shows_causes_and_notes(open_workload: Open) -> None:
    failure = failure_of(
        open_workload,
        "try: 1 / 0\n"
        "except Exception as e:\n"
        "    new = ValueError('outer'); new.add_note('while testing')\n"
        "    raise new from e",
    )
    assert "ZeroDivisionError" in failure["traceback"]
    assert "direct cause" in failure["traceback"]
    assert failure["traceback"].endswith("ValueError: outer\nwhile testing\n")


def test_a_call_with_the_wrong_signature_is_told_without_our_frames(
    open_workload: Open,
) -> None:
    caller = open_workload("""
        class W:
            def evaluate(self, state): pass
    """)
    failure = caller.failure("evaluate", model_id=caller.new_model(), split="Test")
    assert failure["traceback"] == f"{failure['message']}\n"
    assert "takes 2 positional arguments but 3 were given" in failure["message"]


def test_deep_recursion_is_abbreviated_and_does_not_harm_later_calls(
    open_workload: Open,
) -> None:
    caller = open_workload("""
        class W:
            def evaluate(self, state, split): return self.evaluate(state, split)
    """)
    model = caller.new_model()
    for _ in range(3):
        failure = caller.failure("evaluate", model_id=model, split="Test")
        assert failure["python_type"] == "RecursionError"
        assert "Previous line repeated" in failure["traceback"]
        assert len(failure["traceback"]) < 4000
    assert caller.ok("train_window", model_id=model, batches=[]) == {"metrics": {}}


def test_recursion_that_python_does_not_abbreviate_loses_its_middle(open_workload: Open) -> None:
    padding = "x" * 300
    failure = failure_of(
        open_workload,
        f"def ping(n): return pong(n + 1)  # {padding}\n"
        f"def pong(n): return ping(n + 1)  # {padding}\n"
        "ping(0)",
    )
    assert failure["python_type"] == "RecursionError"
    assert MAX_TRACEBACK_CHARS < len(failure["traceback"]) < MAX_TRACEBACK_CHARS + 100
    assert "characters left out" in failure["traceback"]
    assert failure["traceback"].startswith("Traceback (most recent call last):\n")
    assert failure["traceback"].rstrip().splitlines()[-1].startswith("RecursionError")


@pytest.mark.parametrize("raised", ["ValueError", "SystemExit", "KeyboardInterrupt"])
def test_an_exception_whose_str_raises_still_makes_a_failure(
    open_workload: Open, raised: str
) -> None:
    failure = failure_of(
        open_workload,
        "class Bad(Exception):\n"
        f"    def __str__(self): raise {raised}('no text')\n"
        "    __repr__ = __str__\n"
        "raise Bad",
    )
    assert failure["code"] == "ERR_HOOK_RAISED"
    assert failure["message"].endswith("Bad: <exception str() failed>")
    assert "raise Bad" in failure["traceback"]


def test_an_exception_with_hostile_attributes_still_makes_a_failure(
    open_workload: Open,
) -> None:
    failure = failure_of(
        open_workload,
        "class Bad(Exception):\n"
        "    __module__ = 3\n"
        "    @property\n"
        "    def __notes__(self): raise SystemExit\n"
        "raise Bad('text')",
    )
    assert failure["code"] == "ERR_HOOK_RAISED"
    assert failure["message"].endswith("Bad: text")
    assert "Bad: text" in failure["traceback"]


def test_a_ring_of_causes_is_walked_once(open_workload: Open) -> None:
    failure = failure_of(
        open_workload,
        "a, b = ValueError('a'), ValueError('b')\na.__cause__ = b\nb.__cause__ = a\nraise a",
    )
    assert failure["message"] == "ValueError: a"


def test_texts_of_a_failure_can_always_be_encoded(open_workload: Open) -> None:
    failure = failure_of(open_workload, "raise ValueError('\\udc80 and \\ud800')")
    assert failure["message"] == "ValueError: \\udc80 and \\ud800"
    failure["traceback"].encode()


def test_a_huge_text_is_cut(open_workload: Open) -> None:
    failure = failure_of(open_workload, "raise ValueError('x' * 10_000_000 + ' end')")
    assert len(failure["message"]) < MAX_MESSAGE_CHARS + 100
    assert failure["message"].startswith("ValueError: xxx")
    assert failure["message"].endswith("xxx end")
    assert len(failure["traceback"]) < MAX_TRACEBACK_CHARS + 100


@pytest.mark.parametrize(
    "body",
    [
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')",
        "try: raise ModuleNotFoundError('t', name='torch')\n"
        "except ImportError as e: raise RuntimeError('needs torch') from e",
    ],
)
def test_a_missing_torch_is_told_with_the_command_that_installs_it(
    open_workload: Open, body: str
) -> None:
    failure = failure_of(open_workload, body)
    assert failure["code"] == "ERR_TORCH_MISSING"
    assert failure["message"].endswith(f"{shlex.quote(sys.executable)} -m pip install torch")


@pytest.mark.parametrize("name", ["torch.nope", "torchvision"])
def test_another_missing_module_is_an_ordinary_failure(open_workload: Open, name: str) -> None:
    failure = failure_of(open_workload, f"raise ModuleNotFoundError('t', name={name!r})")
    assert failure["code"] == "ERR_HOOK_RAISED"


def test_a_failure_of_our_own_code_keeps_all_frames() -> None:
    def broken() -> None:
        raise RuntimeError("ours")

    try:
        broken()
    except RuntimeError as error:
        failure = describe(error, "ERR_PYTHON_HOST")
    assert failure["code"] == "ERR_PYTHON_HOST"
    assert "in broken" in failure["traceback"]


@given(st.text())
@example("\ud800")
def test_describing_never_fails_whatever_the_text(text: str) -> None:
    failure = describe(ValueError(text), "ERR_HOOK_RAISED")
    for value in failure.values():
        str(value).encode()


def test_a_cancel_inside_a_chain_makes_the_failure_an_abort() -> None:
    def wrapped() -> None:
        try:
            raise Cancelled
        except BaseException as error:
            raise RuntimeError("the loop failed") from error

    with pytest.raises(Exception, match="The call was cancelled") as caught:
        guarded("ERR_HOOK_RAISED", wrapped)
    assert caught.value.failure["code"] == "ABORT_ERR"  # type: ignore[attr-defined]


def test_quoting_makes_one_short_line() -> None:
    assert quoted("a\nb") == "'a\\nb'"
    assert len(quoted("x" * 1000)) < 140
