"""Examples in safetensors files: tensors by name, with one row per example."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import torch

Examples: TypeAlias = "Mapping[str, torch.Tensor]"


def read_shards(paths: Sequence[str]) -> Examples:
    """Return the examples of some files, one after the other. Raises ValueError as joined does."""
    from ..tensors import tensor_views

    parts = []
    for path in paths:
        with open(path, "rb") as file:
            parts.append(tensor_views(bytearray(file.read())))
    return joined(parts)


def joined(parts: Sequence[Examples]) -> Examples:
    """Put examples one after the other, into memory of their own.

    Raises ValueError when parts have other names, or tensors other numbers of rows.
    """
    import torch

    if not parts:
        return {}
    names = parts[0].keys()
    for part in parts:
        if part.keys() != names:
            raise ValueError(f"one shard has the tensors {sorted(names)}, another {sorted(part)}")
        rows = {name: len(tensor) if tensor.ndim > 0 else None for name, tensor in part.items()}
        if len(set(rows.values())) > 1 or None in rows.values():
            raise ValueError(f"the tensors of a shard need one row per example, and have {rows}")
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def count_of(examples: Examples) -> int:
    """Return the number of rows."""
    return len(next(iter(examples.values()), ()))
