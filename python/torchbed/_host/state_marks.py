"""Whether a call changed a model's tensors, told without reading a single one of their bytes.

torch counts every in-place change of a tensor in its `_version` (torch.autograd's "in-place
correctness checks"); a tensor that was replaced is another object.
"""

import sys
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 6
"""How deep a state is searched for tensors, in containers and objects."""

MAX_OBJECTS = 20_000
"""How many objects of a state are looked at. A larger state gets no marks."""

Marks = dict[int, int]
"""The version of each tensor, by its id."""


def state_marks(state: object) -> Marks | None:
    """Return marks to be compared with later ones of the same state; None when it has no tensors.

    Looks into modules, dicts, lists, tuples, and the attributes of other objects. Never raises.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    try:
        marks = _marks(state, torch)
    except Exception:  # a state may be anything, and its attributes may be properties that fail
        return None
    return marks or None


def changed(before: Marks | None, after: Marks | None) -> bool | None:
    """Whether the tensors differ; None when that cannot be told."""
    return None if before is None or after is None else before != after


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
        elif isinstance(item, Mapping):
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list | tuple):
            waiting += [(inner, depth + 1) for inner in item]
        else:
            waiting += [(inner, depth + 1) for inner in getattr(item, "__dict__", {}).values()]
    return marks
