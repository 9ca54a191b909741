"""The parameters of one call, checked as they are read."""

from collections.abc import Mapping
from typing import Any

from .failures import quoted, refused


class Params:
    """Named parameters of a method. A missing or malformed one fails with ERR_PROTOCOL."""

    __slots__ = ("_method", "_values")

    def __init__(self, method: str, values: object) -> None:
        """method: for messages. values: a mapping, or None for a method without parameters."""
        if values is None:
            values = {}
        # The exact class first: asking an abstract one costs more than all the rest.
        if type(values) is not dict and not isinstance(values, Mapping):
            raise refused(
                "ERR_PROTOCOL", f"params of {method} must be an object, got {quoted(values)}"
            )
        self._method = method
        self._values: Mapping[Any, Any] = values

    def whole(self) -> Mapping[Any, Any]:
        """Return all parameters as one value."""
        return self._values

    def has(self, name: str) -> bool:
        """Whether the parameter is there."""
        return name in self._values

    def value(self, name: str) -> Any:
        """Return a parameter of any type."""
        try:
            return self._values[name]
        except KeyError:
            pass
        raise refused("ERR_PROTOCOL", f"params of {self._method} lack {name!r}", "KeyError")

    def text(self, name: str) -> str:
        """Return a str."""
        value = self.value(name)
        if not isinstance(value, str):
            raise self._not("a str", name, value)
        return value

    def integer(self, name: str) -> int:
        """Return an int."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._not("an int", name, value)
        return value

    def items(self, name: str) -> list[Any]:
        """Return a list; a tuple becomes one."""
        value = self.value(name)
        if not isinstance(value, list | tuple):
            raise self._not("a list", name, value)
        return list(value)

    def texts(self, name: str) -> list[str]:
        """Return a list of str; empty when the parameter is missing."""
        values = self.items(name) if name in self._values else []
        for value in values:
            if not isinstance(value, str):
                raise self._not("a list of str", name, values)
        return values

    def text_map(self, name: str) -> dict[str, str]:
        """Return a dict of str to str; empty when the parameter is missing."""
        value = self._values.get(name, {})
        if not isinstance(value, Mapping) or not all(
            isinstance(entry, str) for pair in value.items() for entry in pair
        ):
            raise self._not("an object of strings", name, value)
        return dict(value)

    def _not(self, what: str, name: str, value: object) -> Exception:
        return refused(
            "ERR_PROTOCOL", f"params.{name} of {self._method} must be {what}, got {quoted(value)}"
        )
