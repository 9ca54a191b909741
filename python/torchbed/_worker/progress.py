"""The progress of one call, on its way from a worker to the host."""

import contextlib
import threading
import time
from collections.abc import Callable

from .._host.progressing import MetricValue
from .protocol import json_text

INTERVAL_SECONDS = 0.02
"""Shortest time between two messages, so that a tight loop cannot flood the host."""

Latest = tuple[int, int | None, dict[str, MetricValue]]


class ProgressLine:
    """Sends the latest at most every INTERVAL_SECONDS, and the last one always. Any thread."""

    def __init__(self, number: object, send: Callable[[str], None]) -> None:
        """number: the request's id. send: sends one message."""
        self._number = number
        self._send = send
        self._lock = threading.Lock()
        self._latest: Latest | None = None
        self._next_at = 0.0
        self._finished = False

    def tell(self, step: int, total: int | None, metrics: dict[str, MetricValue]) -> None:
        """Send it, or keep it as the latest."""
        with self._lock:
            self._latest = (step, total, metrics)
            if not self._finished and time.monotonic() >= self._next_at:
                self._flush()

    def finish(self) -> None:
        """Send what was kept; nothing is sent after it."""
        with self._lock:
            self._finished = True
            self._flush()

    def _flush(self) -> None:
        if self._latest is None:
            return
        latest, self._latest = self._latest, None
        self._next_at = time.monotonic() + INTERVAL_SECONDS
        with contextlib.suppress(OSError):  # the host is gone, which its own end tells
            self._send(json_text({"id": self._number, "progress": latest}))
