"""Failures as the host receives them: four texts, and nothing that keeps Python objects alive."""

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Literal, NotRequired, TypedDict, TypeVar

from .cancelling import Cancelled
from .interrupting import interrupts
from .torch_failures import torch_failure

T = TypeVar("T")

Code = Literal[
    "ABORT_ERR",
    "ERR_HOOK_MISSING",
    "ERR_HOOK_RAISED",
    "ERR_METRIC_VALUE",
    "ERR_PROTOCOL",
    "ERR_PYTHON_HOST",
    "ERR_RUNTIME_CLOSED",
    "ERR_RUNTIME_CONFLICT",
    "ERR_TORCH_BROKEN",
    "ERR_TORCH_MISSING",
    "ERR_UNKNOWN_METHOD",
    "ERR_UNKNOWN_MODEL",
    "ERR_VALUE",
    "ERR_WORKLOAD_FACTORY",
    "ERR_WORKLOAD_IMPORT",
]

MAX_MESSAGE_CHARS = 4_000
"""Longest message, in characters. An exception may well carry a whole tensor as text."""

MAX_TRACEBACK_CHARS = 200_000
"""Longest traceback, in characters: some 1,500 frames. The middle is left out beyond that."""

MAX_VALUE_CHARS = 120
"""Longest value quoted in a message, in characters."""


class Failure(TypedDict):
    """Why a call failed. Texts only, encodable as UTF-8."""

    code: Code
    message: str
    python_type: str
    """Qualified name of the exception's type; names of builtins stand alone."""
    traceback: str
    """As Python prints it, from the first frame that is not ours."""
    state_changed: NotRequired[bool]
    """For a call that trains: whether it had changed the model's tensors; absent when unknown."""


class CallFailed(Exception):
    """Ends a call with a failure that is already in words. Never leaves this package."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure["message"])
        self.failure = failure


def refused(code: Code, message: str, python_type: str = "TypeError") -> CallFailed:
    """Build the failure of a check of our own, which has no exception behind it."""
    message = _shortened(_encodable(message), MAX_MESSAGE_CHARS)
    return CallFailed(
        {
            "code": code,
            "message": message,
            "python_type": python_type,
            "traceback": f"{python_type}: {message}\n",
        }
    )


def guarded(
    code: Code, run: Callable[[], T], explain: Callable[[str], str] = lambda short: short
) -> T:
    """Return run(), or raise CallFailed for whatever it raises, SystemExit included.

    code: what an ordinary exception is called. A cancel, and a torch that cannot be imported, keep
    their own code.
    explain: makes the message out of the short text `ValueError: text`.
    """
    try:
        return run()
    except BaseException as error:
        failed = failure_of(error, code, explain)
    # Not raised inside the handler: __context__ would keep the exception and all its frames.
    raise failed


def failure_of(
    error: BaseException, code: Code, explain: Callable[[str], str] = lambda short: short
) -> CallFailed:
    """Build the CallFailed of an exception, which is cut from its frames.

    To be raised after the handler, not in it: __context__ would keep the exception.
    """
    if isinstance(error, CallFailed):
        return error
    failure = describe(error, code, explain)
    forget(error)
    return CallFailed(failure)


def describe(
    error: BaseException, code: Code, explain: Callable[[str], str] = lambda short: short
) -> Failure:
    """Put an exception into words, whatever its own methods do. Raises Cancelled alone."""
    if isinstance(error, CallFailed):
        return error.failure
    python_type = _type_name(error)
    if any(isinstance(link, Cancelled) for link in _chain(error)):
        interrupts.end()
        code, message = "ABORT_ERR", "The call was cancelled"
    elif (torch := torch_failure(error, _in_words)) is not None:
        code, message = torch
    else:
        message = explain(_in_words(error))
    return {
        "code": code,
        "message": _shortened(_encodable(message), MAX_MESSAGE_CHARS),
        "python_type": _encodable(python_type),
        "traceback": _shortened(_traceback(error, code), MAX_TRACEBACK_CHARS),
    }


def forget(error: BaseException) -> None:
    """Cut an exception and all it is chained to from their frames.

    A frame that has its own exception in a variable is a cycle, and would keep its tensors until
    the garbage collector comes by.
    """
    for link in _chain(error):
        link.__traceback__ = None


def quoted(value: object) -> str:
    """Return a value's repr for a message: one line, short, and safe if repr itself fails."""
    try:
        text = repr(value)
    except Cancelled:
        raise
    except BaseException:
        text = f"<unprintable {type(value).__name__} object>"
    return _shortened(_encodable(" ".join(text.split())), MAX_VALUE_CHARS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, its causes and contexts, and the members of groups, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions


def _type_name(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__
    module = kind.__module__
    return name if module in ("builtins", None) else f"{module}.{name}"


def _in_words(error: BaseException) -> str:
    text = _text(error)
    return f"{_type_name(error)}: {text}" if text else _type_name(error)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Cancelled:
        raise
    except BaseException:
        return "<exception str() failed>"


def _traceback(error: BaseException, code: Code) -> str:
    # Our own frames matter only when we are the ones who failed.
    start = error.__traceback__ if code == "ERR_PYTHON_HOST" else _user_part(error.__traceback__)
    try:
        return _encodable("".join(traceback.format_exception(type(error), error, start)))
    except Cancelled:
        raise
    except BaseException as failed:
        forget(failed)
        return f"{_type_name(error)}: {_text(error)}\n(its traceback could not be printed)\n"


_STDLIB = os.path.dirname(os.__file__)
_OWN_PLACES = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    os.path.join(_STDLIB, "asyncio") + os.sep,
    os.path.join(_STDLIB, "importlib") + os.sep,
    "<frozen importlib",
)


def _user_part(start: TracebackType | None) -> TracebackType | None:
    """Skip the leading frames that are ours, or of the machinery that we call hooks through."""
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_OWN_PLACES):
        start = start.tb_next
    return start


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    left_out = f"\n... [{len(text) - limit} characters left out] ...\n" if limit > 500 else " ... "
    head = limit * 2 // 3
    return text[:head] + left_out + text[head - limit :]


def _encodable(text: str) -> str:
    with contextlib.suppress(UnicodeEncodeError):
        text.encode()
        return text
    return text.encode("utf-8", "backslashreplace").decode()
