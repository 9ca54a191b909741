"""Runs a program on a terminal of its own, and answers with all that it wrote there.

    python terminal.py <columns> <later columns> <program> <arguments ...>

When the program has written `RESIZE_AFTER` bytes the terminal becomes `later columns` wide. The
answer is one object of JSON: `code`, as a shell would give it, and `output`. Needs a system with
ptys.
"""

import fcntl
import json
import os
import pty
import struct
import sys
import termios

RESIZE_AFTER = 1000


def set_columns(terminal: int, columns: int) -> None:
    """Set the size; the system tells the program by SIGWINCH."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def main() -> None:
    """Run it."""
    columns, later, *command = sys.argv[1:]
    child, terminal = pty.fork()
    if child == 0:
        set_columns(0, int(columns))
        os.execvp(command[0], command)
    output = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how Linux says that the program has gone
            break
        if not piece:
            break
        if len(output) < RESIZE_AFTER <= len(output) + len(piece):
            set_columns(terminal, int(later))
        output += piece
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    json.dump({"code": code if code >= 0 else 128 - code, "output": output.decode()}, sys.stdout)


main()
