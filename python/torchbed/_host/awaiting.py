"""One event loop for all async hooks, which a cancel can interrupt while it waits."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable
from types import FrameType
from typing import TypeVar

from .cancelling import Cancelled
from .interrupting import MAX_CONTEXTS

T = TypeVar("T")

_ASYNCIO = os.path.dirname(asyncio.__file__) + os.sep

TICK_SECONDS = 0.05
"""Longest wait without running bytecode. A cancel arrives between two bytecodes, so this is also
the longest that it takes to arrive."""

CLEANUP_SECONDS = 1.0
"""How long the task of an interrupted call may take to finish its own cleaning up."""

CLOSE_SECONDS = 0.5
"""How long the loop's last tasks may take when the process ends."""


class Awaiter:
    """Runs awaitables to their end. The loop is made on first use. One thread only."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._tick: asyncio.TimerHandle | None = None
        self._give_up_at: float | None = None  # loop time; set by an interrupt
        self._was_interrupted = False

    def result(self, awaitable: Awaitable[T]) -> T:
        """Return what the awaitable gives, or raise what it raises.

        When the wait is interrupted (see `interrupt`, or by Cancelled, KeyboardInterrupt or
        SystemExit out of any task), the awaitable's task is cancelled and given CLEANUP_SECONDS
        to end.
        """
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            self._was_interrupted = False
        loop = self._loop
        self._give_up_at = None
        if self._was_interrupted:
            # A run that an exception ended may have left word to stop, which would stop this one.
            with contextlib.suppress(RuntimeError):
                loop.run_until_complete(asyncio.sleep(0))
            self._was_interrupted = False
        task = None
        try:
            task = self._task = loop.create_task(_consume(awaitable))
            self._keep_ticking(loop)
            return loop.run_until_complete(task)
        except BaseException as error:
            self._was_interrupted = True
            if task is None:
                loop.close()  # with the task that it may hold: it must not run in a later call
                raise
            ended_by_itself = task.done() and not task.cancelled()
            self._settle(loop, task)
            if self._give_up_at is None or ended_by_itself or isinstance(error, KeyboardInterrupt):
                raise
            raise Cancelled from error
        finally:
            if self._tick is not None:
                self._tick.cancel()
            # The exception's traceback leads to this frame, and the task leads to the exception.
            self._task = None
            del task

    def interrupt(self, frame: FrameType | None) -> bool:
        """Cancel the awaited task, if just now the loop is at work, and not a task's own code.

        frame: where this thread is, between two bytecodes. Returns whether that was so: there, an
        exception could make the loop lose a task that it was about to wake or to schedule.
        """
        if self._loop is None or self._task is None or self._task.done():
            return False
        in_task = asyncio.current_task(self._loop) is not None
        if in_task and frame is not None and not frame.f_code.co_filename.startswith(_ASYNCIO):
            return self._is_cleaning_up()
        if self._give_up_at is None:
            # Once: a second time would cancel what the task does to clean up.
            self._give_up_at = self._loop.time() + CLEANUP_SECONDS
            self._task.cancel()
        return True

    def close(self) -> None:
        """Cancel what is left on the loop, give it CLOSE_SECONDS, and close. Never raises."""
        loop, self._loop = self._loop, None
        if loop is None or loop.is_closed():
            return
        with contextlib.suppress(BaseException):
            loop.run_until_complete(_finish(loop))
        with contextlib.suppress(BaseException):
            loop.close()

    def _is_cleaning_up(self) -> bool:
        """Whether the code that runs handles being cancelled, and has time left for it."""
        if self._loop is None or self._give_up_at is None or self._loop.time() > self._give_up_at:
            return False
        link = sys.exc_info()[1]
        for _ in range(MAX_CONTEXTS):
            if link is None or isinstance(link, asyncio.CancelledError):
                break
            link = link.__context__
        return link is not None

    def _keep_ticking(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._give_up_at is not None and loop.time() >= self._give_up_at:
            loop.stop()
        self._tick = loop.call_later(TICK_SECONDS, self._keep_ticking, loop)

    def _settle(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> None:
        if not task.done():
            task.cancel()
            deadline = self._give_up_at or loop.time() + CLEANUP_SECONDS
            # A child task that was hit by an exception hands it on to those that await it, so the
            # loop may be interrupted again before the task ends.
            while not task.done() and (left := deadline - loop.time()) > 0:
                with contextlib.suppress(BaseException):
                    loop.run_until_complete(asyncio.wait([task], timeout=left))
        if not task.done():
            # It ignores being cancelled. A loop that still holds it is of no use to later calls.
            loop.close()
        elif not task.cancelled():
            task.exception()  # otherwise asyncio logs that it was never retrieved


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
