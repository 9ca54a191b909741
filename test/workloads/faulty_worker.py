"""A worker that breaks the protocol: the factory says how it starts, the method what it does."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from reference_worker import parse_arguments, read_frame, write_frame


class Faults:
    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection = connection
        self.number = number

    def raw(self, body: bytes) -> None:
        write_frame(self.connection, body)

    def send(self, **response: Any) -> None:
        self.raw(json.dumps(response).encode())

    def hello(self) -> None:
        self.answer({"protocol_version": 2, "workload_name": "faulty", "capabilities": []})

    def answer(self, result: Any) -> None:
        self.send(id=self.number, ok=True, result=result)

    def empty(self) -> None:
        self.raw(b"")

    def garbage(self) -> None:
        self.raw(b"<html>")

    def no_utf8(self) -> None:
        self.raw(b'{"id": 1, "ok": true, "result": "\xff"}')

    def no_object(self) -> None:
        self.raw(b"[1, 2]")

    def deep(self) -> None:
        self.raw(b'{"a":' + b"[" * 1_000_000)

    def twice_a_key(self) -> None:
        self.raw(b'{"id": 1, "id": 2, "ok": true}')

    def large_integer(self) -> None:
        self.raw(b'{"id": %d, "ok": true, "result": %s}' % (self.number, b"9" * 100_000))

    def wrong_id(self) -> None:
        self.send(id=self.number + 1, ok=True, result=None)

    def float_id(self) -> None:
        self.send(id=float(self.number), ok=True, result=None)

    def no_id(self) -> None:
        self.send(ok=True, result=None)

    def no_ok(self) -> None:
        self.send(id=self.number, result=None)

    def no_error_text(self) -> None:
        self.send(id=self.number, ok=False, error=["no", "text"])

    def large_frame(self) -> None:
        self.connection.sendall((1 << 62).to_bytes(8, "big"))
        time.sleep(60)

    def twice(self) -> None:
        self.answer("first")
        self.answer("second")

    def slowly(self) -> None:
        body = json.dumps({"id": self.number, "ok": True, "result": "späť"}).encode()
        for byte in len(body).to_bytes(8, "big") + body:
            self.connection.sendall(bytes([byte]))
            time.sleep(0.001)

    def nan_metric(self) -> None:
        self.answer({"metrics": {"loss": float("nan")}})

    def no_traceback(self) -> None:
        self.send(id=self.number, ok=False, error="out of order")

    def half_a_frame(self) -> None:
        self.connection.sendall((100).to_bytes(8, "big") + b'{"id":')
        sys.exit(7)

    def exit_in_words(self) -> None:
        print("the disk is full", file=sys.stderr)
        sys.exit(5)

    def be_killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def disconnect(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        time.sleep(60)

    def hang(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)


def connect_never() -> None:
    time.sleep(60)


def exit_early() -> None:
    print("no module named anything", file=sys.stderr)
    sys.exit(3)


def hello(version: Any) -> Callable[[Faults], None]:
    return lambda faults: faults.answer({"protocol_version": version, "workload_name": "faulty"})


def main() -> None:
    options = parse_arguments()
    start = options.factory.split(":")[1]
    if start == "connect_never":
        connect_never()
    if start == "exit_early":
        exit_early()
    greetings = {
        "version_9": hello(9),
        "version_text": hello("2"),
        "hang_at_hello": Faults.hang,
        "hello_without_name": lambda faults: faults.answer({"protocol_version": 1}),
    }
    connection = socket.create_connection((options.connect_host, int(options.connect_port)))
    while (frame := read_frame(connection)) is not None:
        request = json.loads(frame)
        faults = Faults(connection, request["id"])
        if request["method"] == "hello":
            greetings.get(start, Faults.hello)(faults)
        elif request["method"] == "shutdown" and start != "stay":
            sys.exit()
        else:
            getattr(faults, request["method"], faults.hang)()


if __name__ == "__main__":
    main()
