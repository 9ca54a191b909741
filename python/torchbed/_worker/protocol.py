"""Frames between a worker and its host (spec worker-protocol#frames): a length, then JSON."""

import json
import select
import socket
import struct
import threading

CONNECT_SECONDS = 10.0
"""How long connecting to the host may take; it listens already, on this machine."""

RECEIVED_BYTES = 65_536
"""How much is received at least in one go, where it is there."""

_LENGTH = struct.Struct(">Q")


class Connection:
    """A blocking connection to the host. One thread receives; any may send."""

    def __init__(self, host: str, port: int) -> None:
        """Connect. Raises OSError."""
        self.socket = socket.create_connection((host, port), CONNECT_SECONDS)
        self.socket.settimeout(None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._sending = threading.Lock()

    def has_message(self) -> bool:
        """Whether a message has begun to arrive; its rest is not far."""
        return bool(self._received) or bool(select.select([self.socket], [], [], 0)[0])

    def receive(self) -> object:
        """Return the next message. Raises EOFError when the host has closed, or died."""
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        message: object = json.loads(self._read(length).decode())
        return message

    def send(self, text: str) -> None:
        """Send a JSON text. Raises OSError when the host has closed, or died."""
        body = text.encode("ascii")
        # One write: a separate header would wait for the acknowledgement of the one before.
        with self._sending:
            self.socket.sendall(_LENGTH.pack(len(body)) + body)

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            try:
                data = self.socket.recv(max(size - len(self._received), RECEIVED_BYTES))
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError
            self._received += data
        data = bytes(self._received[:size])
        del self._received[:size]
        return data


def json_text(message: object) -> str:
    """Return a message as ASCII JSON, NaN and infinities as Python's tokens.

    Raises ValueError for an int with more digits than Python prints, and for an object whose own
    code raises.
    """
    try:
        return json.dumps(message, separators=(",", ":"))
    except ValueError:
        raise
    except Exception as error:  # of a list or dict that overrides how it is read
        raise ValueError(f"a value raised {type(error).__name__} while it was written") from error
