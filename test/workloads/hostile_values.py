"""Python objects that do not keep to the rules of their kind, for a test of what crosses."""

from collections.abc import Iterator
from typing import Any, NoReturn

around: list[Any] = []
"""The containers that a Vandal empties: what is around it, while that is converted."""


def fail(*_: object) -> NoReturn:
    """Raise what no converter expects."""
    raise ZeroDivisionError("hostile")


class HostileList(list[Any]):
    """A list that cannot be walked through."""

    __iter__ = __reversed__ = __contains__ = __eq__ = __repr__ = fail  # type: ignore[assignment]
    __hash__ = fail  # type: ignore[assignment]


class HostileTuple(tuple[Any, ...]):
    """A tuple that cannot be walked through."""

    __iter__ = __contains__ = __eq__ = __repr__ = __hash__ = fail  # type: ignore[assignment]


class HostileDict(dict[Any, Any]):
    """A dict that answers no question."""

    items = keys = values = get = __iter__ = __len__ = fail  # type: ignore[assignment]
    __getitem__ = __contains__ = __eq__ = __repr__ = fail  # type: ignore[assignment]


class HostileText(str):
    """A str that cannot be compared, hashed or shown."""

    __str__ = __len__ = __iter__ = __repr__ = encode = isidentifier = fail  # type: ignore


class HostileInt(int):
    """An int that has no value for those who ask it."""

    __index__ = __int__ = __str__ = __repr__ = __bool__ = __float__ = fail  # type: ignore


class HostileFloat(float):
    """A float that has no value for those who ask it."""

    __float__ = __str__ = __repr__ = __bool__ = is_integer = fail  # type: ignore[assignment]


class HostileBytes(bytes):
    """Bytes that have no length for those who ask them."""

    __len__ = __iter__ = __bytes__ = __getitem__ = fail  # type: ignore[assignment]


class Shrinking(list[Any]):
    """A list that loses an item whenever one is read."""

    def __getitem__(self, at: Any) -> Any:
        item = super().__getitem__(at)
        self.pop()
        return item

    def __iter__(self) -> Iterator[Any]:
        while self:
            yield self.pop()


class Faceless:
    """An object that does not say what it is."""

    __class__ = property(fail)  # type: ignore[assignment]


class Nameless(type):
    """The type of classes that have no name, and no module."""

    __getattribute__ = fail  # type: ignore[assignment]


class Emptying(type):
    """The type of classes that empty what is around them when their module is asked for."""

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        for container in around:
            container.clear()
        return "nowhere"


Unnamed = Nameless("Unnamed", (), {})
Vandal = Emptying("Vandal", (), {})


def hold(container: Any) -> Any:
    """Return a list or dict, which a Vandal in it empties."""
    around[:] = [container]
    return container


def nested(levels: int, value: object = 1) -> object:
    """Return so many lists and dicts around a value."""
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def list_around_itself() -> object:
    """Return a list that is its own item."""
    inner: list[Any] = [1]
    inner.append({"a": inner})
    return inner


def dict_around_itself() -> object:
    """Return a dict that is its own value."""
    inner: dict[Any, Any] = {"a": 1}
    inner["b"] = (inner,)
    return inner


def released() -> memoryview:
    """Return a view of nothing any more."""
    view = memoryview(b"abc")
    view.release()
    return view
