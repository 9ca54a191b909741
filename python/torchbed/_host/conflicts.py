"""Two projects in one interpreter: a module name that means another file than the loaded one.

An interpreter has one table of modules. Where two projects both have a `workload.py`, the second
import would silently give the first one's module. This finds such cases before the import.
"""

import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import NamedTuple


class Clash(NamedTuple):
    """A loaded module that stands in the way of another one of the same name."""

    name: str
    loaded_from: str
    wanted: str


def same_named_module(
    module_name: str, roots: Sequence[str], opened_roots: Iterable[str]
) -> Clash | None:
    """Return the first clash for a workload, or None. sys.path must hold its roots already.

    Checked are the factory's own module with its parent packages, against whatever is loaded, and
    every module at the top of the roots, against what came from the roots of other workloads: the
    factory's module may import any of them.
    """
    return _clash_of_factory(module_name) or _clash_of_neighbours(roots, opened_roots)


def _clash_of_factory(module_name: str) -> Clash | None:
    parts = module_name.split(".")
    search_path: Sequence[str] | None = None
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        wanted = _find(name, search_path)
        if wanted is None:
            return None  # builtin, or missing: the import will say
        clash = _clash(name, wanted)
        if clash is not None:
            return clash
        search_path = wanted.submodule_search_locations
    return None


def _clash_of_neighbours(roots: Sequence[str], opened_roots: Iterable[str]) -> Clash | None:
    others = tuple(_real(root) + os.sep for root in opened_roots)
    for module in pkgutil.iter_modules(roots):
        loaded = _origin(getattr(sys.modules.get(module.name), "__spec__", None))
        if loaded is None or not _real(loaded).startswith(others):
            continue
        wanted = _find(module.name, None)
        clash = wanted and _clash(module.name, wanted)
        if clash:
            return clash
    return None


def _clash(name: str, wanted: ModuleSpec) -> Clash | None:
    loaded_from = _origin(getattr(sys.modules.get(name), "__spec__", None))
    wanted_origin = _origin(wanted)
    # Namespace packages have no origin; they span all roots, so they do not clash themselves.
    if loaded_from is None or wanted_origin is None:
        return None
    if _real(loaded_from) == _real(wanted_origin):
        return None
    return Clash(name, loaded_from, wanted_origin)


def _find(name: str, search_path: Sequence[str] | None) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, search_path)
    except (ImportError, ValueError):
        return None


def _origin(spec: object) -> str | None:
    origin = getattr(spec, "origin", None)
    return origin if isinstance(origin, str) else None


def _real(path: str) -> str:
    return os.path.realpath(path)
