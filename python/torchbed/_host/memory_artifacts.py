"""Artifacts in lent memory: written and read in place, without a file.

The hooks `model_tensors` and `load_model_tensors` come first, then the spec's bytes hooks. A
workload that has path hooks alone is served through files, by the host. Where the host wants a
file, the path hooks come first, then these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .failures import guarded, quoted
from .returned import wrong

if TYPE_CHECKING:
    import torch

    from ..tensors import Layout

Way = Literal["tensors", "path", "bytes"]
"""How a workload takes or gives an artifact; None where it has no hook for it."""

Find = Callable[[str], object]
Hook = Callable[..., Any]


def artifact_ways(find: Find) -> dict[str, Way | None]:
    """Return how the workload loads and materializes; find: says whether it has a hook."""
    return {
        "load": _first(
            find,
            tensors="load_model_tensors",
            path="load_model_artifact_path",
            bytes="load_model_artifact",
        ),
        "materialize": _first(
            find,
            tensors="model_tensors",
            path="materialize_model_artifact_path",
            bytes="materialize_model_artifact",
        ),
    }


def load_from_memory(find: Find, hook: Hook, state: object, memory: Any) -> object:
    """Load a whole artifact. Returns what the hook returned: a replacement state, or None."""
    if find("load_model_tensors") is not None:
        from ..tensors import tensor_views

        views = guarded("ERR_HOOK_RAISED", lambda: tensor_views(memory))
        return hook("load_model_tensors", state, views)
    return hook("load_model_artifact", state, bytes(memory))


@dataclass(frozen=True, slots=True)
class PlannedArtifact:
    """An artifact whose size is known, to be written into memory of that size."""

    total_bytes: int
    write: Callable[[Any], None]


def plan_artifact(find: Find, hook: Hook, state: object) -> PlannedArtifact:
    """Lay out the artifact of a state. Values are read when it is written."""
    if find("model_tensors") is None:
        data = _bytes_of(hook, state)
        return PlannedArtifact(len(memoryview(data).cast("B")), lambda memory: _copy(data, memory))
    tensors = hook("model_tensors", state)
    if not isinstance(tensors, Mapping):
        raise wrong("model_tensors", "a mapping of names to tensors", quoted(tensors))
    return _plan_tensors(tensors)


def artifact_bytes(find: Find, hook: Hook, state: object) -> bytes | bytearray | memoryview:
    """Return the artifact of a state, for a host that wants a file."""
    if find("model_tensors") is None:
        return _bytes_of(hook, state)
    planned = plan_artifact(find, hook, state)
    memory = bytearray(planned.total_bytes)
    guarded("ERR_HOOK_RAISED", lambda: planned.write(memory))
    return memory


def _bytes_of(hook: Hook, state: object) -> bytes | bytearray | memoryview:
    data = hook("materialize_model_artifact", state)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise wrong("materialize_model_artifact", "bytes", data)
    return guarded("ERR_HOOK_RAISED", lambda: _flat(data))


def _flat(data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
    """Copy a view with gaps and an empty one, which cannot be cast to bytes."""
    if isinstance(data, memoryview) and (not data.c_contiguous or data.nbytes == 0):
        return data.tobytes()
    return data


def _plan_tensors(tensors: "Mapping[str, torch.Tensor]") -> PlannedArtifact:
    from ..tensors import plan_layout, write_tensors

    layout: Layout = guarded("ERR_HOOK_RAISED", lambda: plan_layout(tensors))
    return PlannedArtifact(
        layout.total_bytes, lambda memory: write_tensors(layout, tensors, memory)
    )


def _copy(data: bytes | bytearray | memoryview, memory: Any) -> None:
    memoryview(memory)[:] = memoryview(data).cast("B")


def _first(find: Find, **hooks: str) -> Any:
    return next((way for way, hook in hooks.items() if find(hook) is not None), None)
