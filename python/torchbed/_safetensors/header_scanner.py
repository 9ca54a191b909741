"""Reads the JSON of a safetensors header from front to back, as RFC 8259 has it.

The standard library's reader is not used: it accepts invalid JSON (NaN, lone surrogates), builds
all that a hostile header holds (up to 24 times its size), cannot be cancelled meanwhile, and nests
as deep as the C stack goes. This one builds nothing that the header does not need.
"""

import json
import math
import re
from collections.abc import Container, Iterator
from typing import Literal, NoReturn

from .errors import Fault, clip, refuse_header

MAX_HEADER_DEPTH = 127
"""Deepest nesting of a header, ignored fields included; the package safetensors stops there too."""

U64_MAX = 2**64 - 1
"""Largest integer; the package counts in unsigned 64-bit integers."""

SAFE_MAX = 2**53 - 1
"""Largest dimension and offset, which the TypeScript half can hold exactly."""

# Possessive (*+) where text can be long, so that hostile text costs linear time.
_SPACE = r"[ \t\n\r]*+"
_PLAIN = r'"([^"\\\x00-\x1f]*+)"'
_INTEGER = r"(?:0|[1-9][0-9]*+)"
_PLAIN_NAME = re.compile(f"{_SPACE}{_PLAIN}{_SPACE}:{_SPACE}")
_PLAIN_STRING = re.compile(f"{_SPACE}{_PLAIN}")
_STRING = re.compile(_SPACE + r'("(?:[^"\\\x00-\x1f]++|\\.)*+")')
_INTEGERS = re.compile(
    rf"{_SPACE}\[{_SPACE}(?:{_INTEGER}{_SPACE}(?:,{_SPACE}{_INTEGER}{_SPACE})*+)?+\]"
)
_DIGITS = re.compile(r"[0-9]++")
_NUMBER = re.compile(rf"{_SPACE}(-?{_INTEGER}(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+)")
# A tensor as writers put it: no spaces, the fields in this order, no number that is too large.
_SHORT = r"(?:0|[1-9][0-9]{0,14})"
_USUAL_TENSOR = re.compile(
    r'\{"dtype":"([A-Z0-9_]{1,16})",'
    rf'"shape":\[((?:{_SHORT}(?:,{_SHORT}){{0,15}})?)\],'
    rf'"data_offsets":\[({_SHORT}),({_SHORT})\]\}}'
)
_WORD = re.compile(f"{_SPACE}(?:null|true|false)")
_PUNCTUATION = {character: re.compile(_SPACE + re.escape(character)) for character in "{}[]:,"}
_VALUE_START = re.compile(_SPACE + r'([{\["])')
_END = re.compile(rf"{_SPACE}\Z")

_SAFE_DIGITS = len(str(SAFE_MAX))
_MAX_SHOWN_PATH = 3
_MAX_FINITE_CHARS = 300  # a number so short is finite if it has no exponent


class HeaderScanner:
    """A place in a text. Each method reads one value there, or raises SafetensorsError."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._path: list[str] = []  # names of the fields that are being read, outermost first

    def object(self) -> Iterator[str]:
        """Yield each name of an object; the caller reads its value before the next one."""
        for _ in self._enclosed("{", "}"):
            found = self._move(_PLAIN_NAME)
            if found is not None:
                name = found[1]
            else:
                name = self.string()
                self._expect(":", '":"')
            self._path.append(name)
            yield name
            self._path.pop()

    def array(self) -> Iterator[None]:
        """Yield at each value of an array; the caller reads it before the next one."""
        return self._enclosed("[", "]")

    def string(self) -> str:
        """Read a string."""
        plain = self._move(_PLAIN_STRING)
        if plain is not None:
            return plain[1]
        found = _STRING.match(self._text, self._at)
        if found is None:
            self._unexpected("a string that is closed and valid JSON")
        try:
            value = json.loads(found[1])
            assert isinstance(value, str)
            value.encode()
        except json.JSONDecodeError:
            self.refuse("json", f"the string {clip(found[1])} is not valid JSON")
        except UnicodeEncodeError:
            self.refuse("json", f"the string {clip(found[1])} has a lone surrogate")
        self._at = found.end()
        return value

    def integers(self, fault: Literal["dimension", "offset"]) -> tuple[int, ...]:
        """Read an array of integers from 0 to 2^53 - 1. fault: what one beyond that is called."""
        found = _INTEGERS.match(self._text, self._at)
        if found is None:
            self._unexpected("an array of integers from 0 to 2^64 - 1")
        tokens = map(re.Match.group, _DIGITS.finditer(self._text, *found.span()))
        numbers = tuple(
            int(token) if len(token) < _SAFE_DIGITS else self._large(token, fault)
            for token in tokens
        )
        self._at = found.end()
        return numbers

    def usual_tensor(self, dtypes: Container[str]) -> tuple[str, tuple[int, ...], int, int] | None:
        """Read dtype, shape and offsets of a tensor that is written as usual; else read nothing."""
        found = _USUAL_TENSOR.match(self._text, self._at)
        if found is None:
            return None
        dtype, shape, begin, end = found.groups()
        if dtype not in dtypes:
            return None
        self._at = found.end()
        return dtype, tuple(map(int, shape.split(","))) if shape else (), int(begin), int(end)

    def null(self) -> bool:
        """Return whether null comes next; if so, it is read."""
        word = _WORD.match(self._text, self._at)
        if word is None or not word[0].endswith("null"):
            return False
        self._at = word.end()
        return True

    def skip(self) -> None:
        """Read any value and forget it."""
        start = _VALUE_START.match(self._text, self._at)
        kind = start[1] if start is not None else ""
        if kind == "[":
            for _ in self.array():
                self.skip()
        elif kind == "{":
            for _ in self.object():
                self.skip()
        elif kind == '"':
            self.string()
        elif self._move(_WORD) is None:
            self._number()

    def end(self) -> None:
        """Read white space up to the end."""
        if self._move(_END) is None:
            self._unexpected("nothing more")

    def refuse(self, fault: Fault, problem: str) -> NoReturn:
        """Stop reading; the message says where."""
        path = ".".join(clip(name) for name in self._path[:_MAX_SHOWN_PATH])
        place = f" in {path}" if path else ""
        refuse_header(fault, f"{problem}{place}, at position {self._at}")

    def _enclosed(self, opening: str, closing: str) -> Iterator[None]:
        self._expect(opening, f'"{opening}"')
        self._depth += 1
        if self._depth > MAX_HEADER_DEPTH:
            self.refuse("json", f"values are nested deeper than {MAX_HEADER_DEPTH} levels")
        comma, end = _PUNCTUATION[","], _PUNCTUATION[closing]
        if self._move(end) is None:
            yield
            while self._move(comma) is not None:
                yield
            self._expect(closing, f'"," or "{closing}"')
        self._depth -= 1

    def _large(self, token: str, fault: Literal["dimension", "offset"]) -> int:
        # The length first: int() refuses thousands of digits with another error.
        if len(token) > 20 or int(token) > U64_MAX:
            self.refuse("json", f"{clip(token)} is not an integer from 0 to 2^64 - 1")
        if int(token) > SAFE_MAX:
            self.refuse(fault, f"{token} is beyond 2^53 - 1")
        return int(token)

    def _number(self) -> None:
        found = self._move(_NUMBER)
        if found is None:
            self._unexpected("a value")
        token = found[1]
        short = len(token) <= _MAX_FINITE_CHARS and "e" not in token and "E" not in token
        if not short and math.isinf(float(token)):
            self.refuse("json", f"the number {clip(token)} is out of range")

    def _expect(self, character: str, what: str) -> None:
        if self._move(_PUNCTUATION[character]) is None:
            self._unexpected(what)

    def _move(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _unexpected(self, what: str) -> NoReturn:
        rest = self._text[self._at : self._at + 20]
        self.refuse("json", f"expected {what}, found {clip(rest) if rest else 'the end'}")
