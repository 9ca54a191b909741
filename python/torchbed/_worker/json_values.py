"""Python objects that JSON can carry to the host: checked, as json.dumps changes some silently."""

from collections.abc import Iterator

MAX_DEPTH = 128
"""Deepest nesting that crosses, in levels: that of the embedding bridge."""


class NotJsonError(Exception):
    """A value cannot cross. `path` says where, such as `batches[3].payload.x`."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def check_json(value: object) -> None:
    """Check that None, bool, int, float, str, list, tuple and dict with str keys is all there is.

    Raises NotJsonError.
    """
    _check(value, ())


def _check(value: object, place: tuple[str | int, ...]) -> None:
    try:
        _check_parts(value, place)
    except NotJsonError:
        raise
    except Exception as error:  # of the value's own code, such as a list that cannot be iterated
        raise NotJsonError(
            f"the value raised {type(error).__name__} while it was read; return None, bool, int, "
            "float, str, list or dict",
            _path(place),
        ) from error


def _check_parts(value: object, place: tuple[str | int, ...]) -> None:
    if value is None or isinstance(value, bool | int | float | str):
        return
    if not isinstance(value, dict | list | tuple):
        kind = type(value)
        name = kind.__qualname__
        if kind.__module__ != "builtins":
            name = f"{kind.__module__}.{name}"
        raise NotJsonError(
            f"a {name} cannot be passed to JavaScript by a worker process; return None, bool, int, "
            "float, str, list or dict, or run the workload in the process",
            _path(place),
        )
    if len(place) >= MAX_DEPTH:
        raise NotJsonError(f"nested deeper than {MAX_DEPTH} levels, or circular", _path(place))
    for key, item in _items(value, place):
        _check(item, (*place, key))


def _items(
    value: dict[object, object] | list[object] | tuple[object, ...], place: tuple[str | int, ...]
) -> Iterator[tuple[str | int, object]]:
    if not isinstance(value, dict):
        yield from enumerate(value)
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise NotJsonError(
                f"a dict key of class {type(key).__name__} cannot be passed to JavaScript by a "
                "worker process; keys must be str",
                _path(place),
            )
        yield str.__str__(key), item  # without what a subclass makes of it


def _path(place: tuple[str | int, ...]) -> str:
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text
