"""A workload in a separate process, for a host that wants it isolated (spec worker-protocol).

    python -m torchbed.worker --factory M:A --config-json JSON --connect-host H --connect-port P

The host starts it. It connects first and imports the workload then, so that what goes wrong is an
answer; sends the token out of its environment, if there is one, so that the host knows its own
child; and answers requests one at a time until `shutdown`, or until the host is gone. SIGINT
cancels the running call, and nothing when none runs.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from types import FrameType
from typing import Any

from .._host import host
from .._host.cancelling import answer_should_stop
from .._host.failures import Code, Failure, quoted, refused
from .._host.interrupting import interrupts
from .._host.output import flush_standard_streams
from .._host.progressing import MetricValue, tell_progress
from .._host.yielding import answer_yield_point
from .json_values import NotJsonError, check_json
from .orphans import end_with_host
from .progress import ProgressLine
from .protocol import Connection, json_text

TOKEN_VARIABLE = "TORCHBED_WORKER_TOKEN"
"""Environment variable with the token; taken out before the workload can see it."""


URGENT_SECONDS = 0.05
"""When the running call goes on, though more urgent ones wait for it."""


class Worker:
    """Answers requests by the workload of one session, and lets a signal cancel the running one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._send = connection.send
        self._later: deque[object] = deque()
        self._is_urgent = False
        self._progress: ProgressLine | None = None
        self._session = host.HOST_SESSION
        self._failure: Failure | None = None
        self._running = False
        self._telling = False
        self._asked = False
        answer_should_stop(lambda: self._asked)
        interrupts.connect(lambda: int(self._asked))
        tell_progress(self._tell)
        answer_yield_point(self._has_urgent, self._run_urgent)
        signal.signal(signal.SIGINT, self._on_interrupt)

    def open(self, factory: str, config: object, module_search_roots: list[str]) -> None:
        """Load the workload. When that fails, the failure answers every request."""
        params = {
            "factory": factory,
            "config": config,
            "module_search_roots": module_search_roots,
        }
        opened, outcome = self._dispatch("open_workload", params)
        if opened:
            self._session = outcome["session"]
        else:
            self._failure = outcome

    def next_request(self) -> object:
        """Return the next message of the host. Raises EOFError when it has closed, or died."""
        return self._later.popleft() if self._later else self._connection.receive()

    def answer(self, request: Mapping[str, object]) -> str:
        """Return the response to `{"id", "method", "params"}` as JSON."""
        number = request.get("id")
        around = (self._progress, self._running, self._asked, self._is_urgent)
        # The host takes its interrupts for other calls, and does without them for urgent ones.
        self._is_urgent = request.get("urgent") is True
        wants_progress = request.get("progress") is True
        self._progress = ProgressLine(number, self._send) if wants_progress else None
        try:
            return self._response(number, request)
        finally:
            self._progress, self._running, self._asked, self._is_urgent = around

    def _has_urgent(self) -> bool:
        is_main = threading.current_thread() is threading.main_thread()
        return is_main and not self._is_urgent and self._connection.has_message()

    def _run_urgent(self) -> None:
        # No more than are there now: the running call goes on meanwhile, however many come.
        ends = time.monotonic() + URGENT_SECONDS
        while not self._asked and self._connection.has_message():
            request = self._connection.receive()
            if not isinstance(request, Mapping) or request.get("urgent") is not True:
                self._later.append(request)
                return
            self.respond(request)
            if time.monotonic() >= ends:
                return

    def respond(self, request: Mapping[str, object]) -> None:
        """Answer a request. Raises OSError when the host has closed, or died."""
        response = self.answer(request)
        # What was printed must be in the pipe before the answer is.
        flush_standard_streams()
        self._send(response)

    def _response(self, number: object, request: Mapping[str, object]) -> str:
        answered, outcome = self._call(request.get("method"), request.get("params"))
        if self._progress is not None:
            self._progress.finish()
        if answered:
            try:
                check_json(outcome)
                return json_text({"id": number, "ok": True, "result": outcome})
            except NotJsonError as error:
                outcome = {**_failure("ERR_VALUE", str(error)), "path": error.path}
            except ValueError as error:  # an int with too many digits
                outcome = _failure("ERR_VALUE", str(error))
        error_text = f"{outcome['message']}\n{outcome['traceback']}"
        return json_text({"id": number, "ok": False, "error": error_text, "failure": outcome})

    def _tell(self, step: int, total: int | None, metrics: dict[str, MetricValue]) -> None:
        line = self._progress
        if line is None:
            return
        if threading.current_thread() is not threading.main_thread():
            line.tell(step, total, metrics)
            return
        # An interrupt in the middle of a message would cut it short; the host repeats interrupts.
        self._telling = True
        try:
            line.tell(step, total, metrics)
        finally:
            self._telling = False

    def _call(self, method: object, params: object) -> tuple[bool, Any]:
        if self._failure is not None:
            return False, self._failure
        if not isinstance(method, str):
            return False, _failure("ERR_PROTOCOL", f"method must be a str, got {quoted(method)}")
        return self._dispatch(method, params)

    def _dispatch(self, method: str, params: object) -> tuple[bool, Any]:
        self._asked = False
        self._running = not self._is_urgent
        answer: tuple[bool, Any] = host.dispatch(self._session, method, params)
        self._running = False
        answered, outcome = answer
        if self._asked and not answered:
            # Whatever the hook made of the cancel, the host asked for the end and gets that.
            outcome = {**outcome, "code": "ABORT_ERR"}
        return answered, outcome

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._running:
            return
        self._asked = True
        # The host repeats interrupts, and a message must not be cut short.
        if not self._telling:
            interrupts.on_signal(number, frame)


def main(arguments: list[str] | None = None) -> int:
    """Serve one host. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m torchbed.worker", allow_abbrev=False)
    parser.add_argument("--factory", required=True, metavar="MODULE:ATTR")
    parser.add_argument("--config-json", required=True, metavar="JSON", type=json.loads)
    parser.add_argument("--connect-host", required=True, metavar="HOST")
    parser.add_argument("--connect-port", required=True, metavar="PORT", type=int)
    options = parser.parse_args(arguments)
    token = os.environ.pop(TOKEN_VARIABLE, None)
    with contextlib.suppress(Exception):  # stderr without a descriptor
        faulthandler.enable(all_threads=False)  # so that the host can say where a crash was
    host.prefer_spawn()
    try:
        connection = Connection(options.connect_host, options.connect_port)
    except OSError as error:
        place = f"{options.connect_host}:{options.connect_port}"
        print(f"Cannot connect to the host at {place}: {error}", file=sys.stderr)
        return 1
    worker = Worker(connection)
    with contextlib.suppress(EOFError, OSError):  # the host is gone, and with it the need for us
        if token is not None:
            connection.send(json_text({"token": token}))
        end_with_host(connection.socket)
        worker.open(options.factory, options.config_json, _search_roots())
        _serve(worker)
    host.shutdown()
    return 0


def _serve(worker: Worker) -> None:
    while True:
        request = worker.next_request()
        if not request:  # as the reference does (spec worker-protocol#frames)
            continue
        if not isinstance(request, Mapping):
            raise TypeError(f"a request must be an object, got {quoted(request)}")
        worker.respond(request)
        if request.get("method") == "shutdown":
            return


def _search_roots() -> list[str]:
    """Return PYTHONPATH without the folder of this package: what the host was told, and more."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [entry for entry in entries if entry and os.path.abspath(entry) != own]


def _failure(code: Code, message: str) -> Failure:
    return refused(code, message).failure
