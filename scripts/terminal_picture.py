"""Runs a program on a pseudo-terminal and draws what it showed there as an animated SVG.

    .venv/bin/python scripts/terminal_picture.py --out docs/images/train.svg \
        --prompt 'npx torchbed train examples/digits/config.json --out out/digits' \
        -- node dist/lib/cli/main.js train examples/digits/config.json --out out/digits

Each row that stays the same is one text, shown for as long as it was there. A reader who asks for
less motion sees the last state. The run is a real one, sped up to fit into --seconds. Needs ptys.
"""

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROWS = 40
WIDTH, HEIGHT = 7.8, 18  # of a character, in pixels
MARGIN = 14
ROOT = f"{Path(__file__).resolve().parent.parent}/"  # left out of what is shown
HOLD_SECONDS = 5.0  # for which the last state stays before the picture begins again
FRAME_SECONDS = 0.2
COLOURS = {30: "#8b949e", 31: "#ff7b72", 32: "#7ee787", 33: "#d29922", 34: "#79c0ff"} | {
    35: "#d2a8ff",
    36: "#a5d6ff",
    90: "#8b949e",
}
CONTROL = re.compile(r"\x1b\[([\d;?]*)([A-Za-z])|\x1b[^\[]|[\r\n\b]")

Cell = tuple[str, str]  # a character and its style
Row = tuple[Cell, ...]


class Screen:
    """As much of a terminal as command lines use: text, returns, moves, erasing, styles."""

    def __init__(self) -> None:
        self.rows: list[list[Cell]] = [[] for _ in range(ROWS)]
        self.x = self.y = 0
        self.style = ""

    def write(self, text: str) -> None:
        """Take what the program wrote."""
        at = 0
        for match in CONTROL.finditer(text):
            self.put(text[at : match.start()])
            at = match.end()
            self.control(match[0], match[1] or "", match[2])
        self.put(text[at:])

    def put(self, text: str) -> None:
        for character in text:
            row = self.rows[self.y]
            row.extend([(" ", "")] * (self.x + 1 - len(row)))
            row[self.x] = (character, self.style)
            self.x += 1

    def control(self, whole: str, arguments: str, command: str | None) -> None:
        count = int(arguments) if arguments.isdigit() else 1
        if whole == "\r":
            self.x = 0
        elif whole == "\n":
            self.x, self.y = 0, min(self.y + 1, ROWS - 1)
        elif command == "A":
            self.y = max(0, self.y - count)
        elif command == "G":
            self.x = count - 1
        elif command == "K":
            del self.rows[self.y][0 if arguments == "2" else self.x :]
        elif command == "J":
            del self.rows[self.y][self.x :]
            self.rows[self.y + 1 :] = [[] for _ in range(ROWS - self.y - 1)]
        elif command == "m":
            for code in arguments.split(";"):
                self.select(int(code or 0))

    def select(self, code: int) -> None:
        if code in (0, 22, 39):
            self.style = ""
        elif code == 1:
            self.style += "font-weight:bold;"
        elif code == 2:
            self.style += "opacity:.65;"
        elif code in COLOURS:
            self.style += f"fill:{COLOURS[code]};"

    def state(self) -> list[Row]:
        """The rows, without what is blank at their ends."""
        return [tuple(trimmed(row)) for row in self.rows]


def trimmed(row: list[Cell]) -> list[Cell]:
    end = len(row)
    while end and row[end - 1][0] == " ":
        end -= 1
    return row[:end]


def record(command: list[str], columns: int) -> list[tuple[float, list[Row]]]:
    """Run the program; what the terminal showed, and when, in seconds since the first output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    child = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color"},
    )
    os.close(theirs)
    screen, frames, began, pending = Screen(), [], time.monotonic(), b""
    while True:
        ready, _, _ = select.select([ours], [], [], FRAME_SECONDS)
        try:
            pending += os.read(ours, 65536) if ready else b""
        except OSError:  # how Linux says that the program has gone
            break
        text = pending.decode(errors="ignore")
        screen.write(text.replace(ROOT, ""))
        pending = b""
        if not frames:
            began = time.monotonic()
        now = time.monotonic() - began
        if not frames or now - frames[-1][0] >= FRAME_SECONDS:
            frames.append((now, screen.state()))
    code = child.wait()
    if code != 0:
        raise SystemExit(f"{command[0]} ended with exit code {code}")
    frames.append((time.monotonic() - began, screen.state()))
    return frames


@dataclass
class Shown:
    """A row of text, and for how long it was there."""

    row: Row
    y: int
    begin: float
    end: float | None = None


def intervals(frames: list[tuple[float, list[Row]]]) -> list[Shown]:
    """Each row that was shown, once for each time that it came."""
    shown: list[Shown] = []
    current: dict[int, Shown] = {}
    for at, rows in frames:
        for y, row in enumerate(rows):
            before = current.get(y)
            if before is not None and before.row == row:
                continue
            if before is not None:
                before.end = at
                del current[y]
            if row:
                current[y] = Shown(row, y, at)
                shown.append(current[y])
    return shown


def text_of(row: Row, y: int) -> str:
    """A row as SVG: a run of one style is one tspan."""
    spans, at = [], 0
    while at < len(row):
        style = row[at][1]
        end = at
        while end < len(row) and row[end][1] == style:
            end += 1
        words = escape("".join(character for character, _ in row[at:end]))
        attribute = f' style="{style}"' if style else ""
        spans.append(f'<tspan x="{MARGIN + at * WIDTH:.1f}"{attribute}>{words}</tspan>')
        at = end
    return f'<text y="{y}" xml:space="preserve">{"".join(spans)}</text>'


def picture(
    frames: list[tuple[float, list[Row]]], prompt: str, columns: int, seconds: float
) -> str:
    """The SVG."""
    speed = max(1.0, frames[-1][0] / seconds)
    total = frames[-1][0] / speed + HOLD_SECONDS
    rows = max(index for index, row in enumerate(frames[-1][1]) if row) + 3
    styles, texts = [], []
    for number, one in enumerate(intervals(frames)):
        begin = one.begin / speed / total * 100
        steps = f"0%{{opacity:0}}{begin:.2f}%{{opacity:1}}" if begin > 0 else "0%{opacity:1}"
        if one.end is not None:
            steps += f"{one.end / speed / total * 100:.2f}%{{opacity:0}}"
        last = one.end is None
        styles.append(f"@keyframes k{number}{{{steps}}}#r{number}{{animation-name:k{number}}}")
        y = MARGIN + (one.y + 2) * HEIGHT
        hidden = "" if last else ' class="past"'
        texts.append(f'<g id="r{number}"{hidden}>{text_of(one.row, y)}</g>')
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
            f'width="{width:.0f}" height="{height}">',
            f"<title>{escape(prompt)}</title>",
            "<style>",
            "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
            "fill:#e6edf3;white-space:pre}",
            f"g{{animation:{total:.1f}s step-end infinite}}.past{{opacity:0}}",
            "@media (prefers-reduced-motion:reduce){g{animation:none}}",
            *styles,
            "</style>",
            '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
            f'<text x="{MARGIN}" y="{MARGIN + HEIGHT - 6}"><tspan style="fill:#7ee787">$ </tspan>'
            f"<tspan>{escape(prompt)}</tspan></text>",
            *texts,
            "</svg>",
            "",
        ]
    )


def main() -> None:
    """Run the program and write the picture."""
    parser = argparse.ArgumentParser(description="Draw a run of a program on a terminal as an SVG.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompt", required=True, help="the command as the picture shows it")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument(
        "--seconds", type=float, default=14.0, help="longest the run may take in it"
    )
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    frames = record(options.command, options.columns)
    svg = picture(frames, options.prompt, options.columns, options.seconds)
    options.out.write_text(svg, encoding="utf-8")
    print(
        f"{options.out}: {len(svg.encode())} bytes, {frames[-1][0]:.1f} s of {len(frames)} frames"
    )


main()
