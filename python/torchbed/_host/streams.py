"""Generator hooks: what they yield, asked for a few items at a time, and their end."""

import contextlib
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from .failures import CallFailed, failure_of
from .hook_values import Outputs
from .returned import wrong

SLICE_SECONDS = 0.001
"""How long a slice may go on collecting items: the next item is begun only before that. A generator
that takes its time hands out each item at once."""


class Stream:
    """A generator between two calls. It runs while items are taken, and no further."""

    def __init__(
        self,
        hook: str,
        returned: object,
        await_result: Callable[[Awaitable[object]], object],
        as_text: bool,
    ) -> None:
        """returned: an iterator or async iterator. Anything else fails with ERR_PROTOCOL."""
        self._items: Any = returned
        self._await_result = await_result
        self._as_text = as_text
        self._is_async = isinstance(returned, AsyncIterator)
        self._failed: CallFailed | None = None
        self.is_done = False
        if not self._is_async and not isinstance(returned, Iterator):
            raise wrong(hook, "a generator, or another iterator", returned)

    def take(self, most: int) -> tuple[dict[str, object], Outputs | None]:
        """Return up to `most` items, and the last one's tensors if they have to be filled.

        What the generator raises after some items is raised by the next call, so that they arrive.
        """
        if self._failed is not None:
            raise self._failed
        items: list[object] = []
        places: list[object] = []
        waiting: Outputs | None = None
        ends = time.perf_counter() + SLICE_SECONDS
        while waiting is None and len(items) < most:
            try:
                outputs = self._next()
            except BaseException as error:
                failed = failure_of(error, "ERR_HOOK_RAISED")
            else:
                if outputs is None:
                    self.is_done = True
                    break
                if outputs.places:
                    places.append([len(items), outputs.places])
                items.append(outputs.value)
                if outputs.is_waiting:
                    waiting = outputs
                if time.perf_counter() >= ends:
                    break
                continue
            if not items or failed.failure["code"] == "ABORT_ERR":
                raise failed
            self._failed = failed
            break
        answer: dict[str, object] = {"items": items, "done": self.is_done}
        if places:
            answer["places"] = places
        return answer, waiting

    def close(self) -> None:
        """Let the generator run its `finally` and end. Raises what that raises."""
        items, self._items = self._items, iter(())
        self.is_done = True
        if self._is_async:
            self._is_async = False
            close = getattr(items, "aclose", None)
            if close is not None:
                self._await_result(close())
            return
        close = getattr(items, "close", None)
        if callable(close):
            close()

    def abandon(self) -> None:
        """Close it where no caller can be told of a failure, which is printed instead."""
        try:
            self.close()
        except BaseException as error:
            with contextlib.suppress(BaseException):
                traceback.print_exception(error, chain=error.__cause__ is not None)

    def _next(self) -> Outputs | None:
        """Return the next item; None at the end."""
        try:
            if self._is_async:
                item = self._await_result(self._items.__anext__())
            else:
                item = next(self._items)
        except (StopIteration, StopAsyncIteration):
            return None
        return Outputs(item, self._as_text, [])
