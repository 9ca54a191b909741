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
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from .._host import host
from .._host.cancelling import answer_should_stop
from .._host.failures import Code, Failure, quoted, refused
from .._host.interrupting import interrupts
from .._host.output import flush_standard_streams
from .._host.progressing import MetricValue, tell_progress
from .json_values import NotJsonError, check_json
from .orphans import end_with_host
from .progress import ProgressLine
from .protocol import Connection, json_text

TOKEN_VARIABLE = "TORCHBED_WORKER_TOKEN"
"""Environment variable with the token; taken out before the workload can see it."""


class Worker:
    """Answers requests by the workload of one session, and lets a signal cancel the running one."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._progress: ProgressLine | None = None
        self._session = host.HOST_SESSION
        self._failure: Failure | None = None
        self._running = False
        self._telling = False
        self._asked = False
        answer_should_stop(lambda: self._asked)
        interrupts.connect(lambda: int(self._asked))
        tell_progress(self._tell)
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

    def answer(self, request: Mapping[str, object]) -> str:
        """Return the response to `{"id", "method", "params"}` as JSON."""
        number = request.get("id")
        if request.get("progress") is True:
            self._progress = ProgressLine(number, self._send)
        try:
            return self._response(number, request)
        finally:
            self._progress = None

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
        self._running = True
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
    worker = Worker(connection.send)
    with contextlib.suppress(EOFError, OSError):  # the host is gone, and with it the need for us
        if token is not None:
            connection.send(json_text({"token": token}))
        end_with_host(connection.socket)
        worker.open(options.factory, options.config_json, _search_roots())
        _serve(connection, worker)
    host.shutdown()
    return 0


def _serve(connection: Connection, worker: Worker) -> None:
    while True:
        request = connection.receive()
        if not request:  # as the reference does (spec worker-protocol#frames)
            continue
        if not isinstance(request, Mapping):
            raise TypeError(f"a request must be an object, got {quoted(request)}")
        response = worker.answer(request)
        # What was printed must be in the pipe before the answer is.
        flush_standard_streams()
        connection.send(response)
        if request.get("method") == "shutdown":
            return


def _search_roots() -> list[str]:
    """Return PYTHONPATH without the folder of this package: what the host was told, and more."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [entry for entry in entries if entry and os.path.abspath(entry) != own]


def _failure(code: Code, message: str) -> Failure:
    return refused(code, message).failure
