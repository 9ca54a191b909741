"""One event loop for all async hooks, which a cancel can interrupt while it waits."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

TICK_SECONDS = 0.05
"""Longest wait without running bytecode. Cancelled is raised between bytecodes, so this is also
the longest that it takes to arrive."""

CLEANUP_SECONDS = 1.0
"""How long the task of an interrupted call may take to finish its own cleaning up."""

CLOSE_SECONDS = 0.5
"""How long the loop's last tasks may take when the process ends."""


class Awaiter:
    """Runs awaitables to their end. The loop is made on first use. One thread only."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tick: asyncio.TimerHandle | None = None

    def result(self, awaitable: Awaitable[T]) -> T:
        """Return what the awaitable gives, or raise what it raises.

        When an interrupt (Cancelled, KeyboardInterrupt, SystemExit) ends the wait early, the task
        is cancelled and awaited for at most CLEANUP_SECONDS before the interrupt goes on.
        """
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        loop = self._loop
        task = None
        try:
            task = loop.create_task(_consume(awaitable))
            self._keep_ticking(loop)
            return loop.run_until_complete(task)
        except BaseException:
            if task is None:
                loop.close()  # with the task that it may hold: it must not run in a later call
            else:
                self._settle(loop, task)
            raise
        finally:
            if self._tick is not None:
                self._tick.cancel()
            # The exception's traceback leads to this frame, and the task leads to the exception.
            del task

    def close(self) -> None:
        """Cancel what is left on the loop, give it CLOSE_SECONDS, and close. Never raises."""
        loop, self._loop = self._loop, None
        if loop is None or loop.is_closed():
            return
        with contextlib.suppress(BaseException):
            loop.run_until_complete(_finish(loop))
        with contextlib.suppress(BaseException):
            loop.close()

    def _keep_ticking(self, loop: asyncio.AbstractEventLoop) -> None:
        self._tick = loop.call_later(TICK_SECONDS, self._keep_ticking, loop)

    def _settle(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> None:
        if not task.done():
            task.cancel()
            deadline = loop.time() + CLEANUP_SECONDS
            # A child task that was hit by the interrupt hands it on to those that await it, so
            # the loop may be interrupted again before the task ends.
            while not task.done() and (left := deadline - loop.time()) > 0:
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(asyncio.wait([task], timeout=left))
        if not task.done():
            # It ignores being cancelled, or the interrupt hit the loop itself while that was about
            # to wake it. A loop that still holds it is of no use to later calls.
            loop.close()
        elif not task.cancelled():
            task.exception()  # otherwise asyncio logs that nobody asked for it


async def _consume(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _finish(loop: asyncio.AbstractEventLoop) -> None:
    deadline = loop.time() + CLOSE_SECONDS
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
    generators = loop.create_task(loop.shutdown_asyncgens())
    await asyncio.wait([generators], timeout=max(0.0, deadline - loop.time()))
