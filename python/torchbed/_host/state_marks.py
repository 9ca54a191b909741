"""Whether a call changed a model's tensors, told without reading a single one of their bytes.

torch counts every in-place change of a tensor in its `_version` (torch.autograd's "in-place
correctness checks"); a tensor that was replaced is another object. A write through `.data`, a view
of numpy or a pointer leaves no version, so equal versions do not prove equal values: the answer is
yes, or unknown.
"""

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Collection
from types import ModuleType
from typing import Any, Literal, cast

MAX_DEPTH = 6
"""How deep a state is searched for tensors, in containers and objects."""

MAX_OBJECTS = 2_000
"""How many objects of a state are looked at. A larger state gets no marks."""

_DICTS = (dict, OrderedDict, defaultdict)

Marks = dict[int, int]
"""The version of each tensor, by its id."""


def state_marks(state: object) -> Marks | None:
    """Return marks to be compared with later ones of the same state; None when it has no tensors.

    Looks into modules, dicts, lists, tuples, and the attributes of other objects. Not into other
    containers: a lazy mapping would load what it holds. Never raises.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    try:
        marks = _marks(state, torch)
    except Exception:  # a state may be anything, and its attributes may be properties that fail
        return None
    return marks or None


def changed(before: Marks | None, after: Marks | None) -> Literal[True] | None:
    """Whether the tensors certainly differ; None when that cannot be told."""
    return True if before is not None and after is not None and before != after else None


def _marks(state: object, torch: Any) -> Marks | None:
    marks: Marks = {}
    seen: set[int] = set()
    waiting: list[tuple[object, int]] = [(state, 0)]
    while waiting:
        item, depth = waiting.pop()
        if id(item) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(item))
        if len(seen) > MAX_OBJECTS:
            return None
        if isinstance(item, torch.Tensor):
            marks[id(item)] = item._version
        elif isinstance(item, torch.nn.Module):
            for tensor in (*item.parameters(), *item.buffers()):
                marks[id(tensor)] = tensor._version
        else:
            inner = _inner(item)
            if len(seen) + len(waiting) + len(inner) > MAX_OBJECTS:
                return None
            waiting += [(part, depth + 1) for part in inner]
    return marks


def _inner(item: object) -> Collection[object]:
    # The exact classes: a subclass may run code, or load files, when it is read.
    if type(item) in _DICTS:
        return cast("dict[object, object]", item).values()
    if type(item) is list or type(item) is tuple:
        return item
    if isinstance(item, type | ModuleType):
        return ()
    attributes = getattr(item, "__dict__", None)
    return attributes.values() if type(attributes) is dict else ()
