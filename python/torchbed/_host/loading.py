"""From `module:attr` to a workload: search path, environment, import, factory call."""

import importlib
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from .conflicts import same_named_module
from .environment import set_environment
from .failures import guarded, quoted, refused


def load_workload(
    factory: str,
    config: object,
    module_search_roots: Sequence[str],
    env: Mapping[str, str],
    await_result: Callable[[Awaitable[object]], object],
) -> object:
    """Import the factory, call it with the config, and return the workload.

    module_search_roots: put in front of sys.path, in their order; relative to the current
    directory. env: put in os.environ first, and left there if loading fails; the search path is
    put back then. A module that this process has already imported is not imported again.
    Fails with ERR_WORKLOAD_FACTORY, ERR_WORKLOAD_IMPORT, ERR_TORCH_MISSING, and
    as set_environment does.
    """
    module_name, attr = parse_factory(factory)
    set_environment(env)
    roots = [os.path.abspath(root) for root in module_search_roots]
    path_before = list(sys.path)
    try:
        sys.path[:] = _in_front(roots, path_before)
        importlib.invalidate_caches()
        workload = _make(factory, module_name, attr, config, roots, await_result)
    except BaseException:
        sys.path[:] = path_before
        raise
    _opened_roots.update(dict.fromkeys(roots))
    return workload


def parse_factory(factory: str) -> tuple[str, str]:
    """Split `module:attr` at the first colon. Fails with ERR_WORKLOAD_FACTORY."""
    module, colon, attr = factory.partition(":")
    if not colon:
        problem = "python workload_factory must use module:attr form"
    elif not module.strip() or not attr.strip():
        problem = "python workload_factory must include non-empty module and attr"
    else:
        return module, attr
    raise refused(
        "ERR_WORKLOAD_FACTORY",
        f"{problem}, got {quoted(factory)}; write it like digits_workload:create_workload",
        "ValueError",
    )


_opened_roots: dict[str, None] = {}
"""Search roots of every workload that this process has loaded, in order."""


def _make(
    factory: str,
    module_name: str,
    attr: str,
    config: object,
    roots: Sequence[str],
    await_result: Callable[[Awaitable[object]], object],
) -> object:
    def cannot(action: str, remedy: str = "") -> Callable[[str], str]:
        return lambda short: f"Cannot {action} of workload_factory {factory!r}: {short}{remedy}"

    clash = same_named_module(module_name, roots, _opened_roots)
    if clash is not None:
        raise refused(
            "ERR_WORKLOAD_IMPORT",
            cannot(
                "import the module",
                "; rename one of the two modules, or run one workload in another process",
            )(
                f"a module {clash.name!r} is already loaded from {clash.loaded_from}, "
                f"while this workload means {clash.wanted}"
            ),
            "ImportError",
        )
    looked_in = ", ".join(roots) or "the installed packages only"
    module = guarded(
        "ERR_WORKLOAD_IMPORT",
        lambda: importlib.import_module(module_name),
        cannot(
            "import the module",
            f" (module_search_roots: {looked_in}; modules are also looked for in the packages "
            f"installed for {sys.executable})",
        ),
    )
    create = guarded(
        "ERR_WORKLOAD_IMPORT", lambda: getattr(module, attr), cannot("find the attribute")
    )
    if not callable(create):
        raise refused(
            "ERR_WORKLOAD_IMPORT",
            cannot("call the factory")(f"{attr} is {quoted(create)}, not a function or class"),
        )

    def call() -> object:
        workload = create(config)
        return await_result(workload) if isinstance(workload, Awaitable) else workload

    workload = guarded("ERR_WORKLOAD_IMPORT", call, cannot("call the factory"))
    if workload is None:
        raise refused(
            "ERR_WORKLOAD_IMPORT",
            cannot("use the result")("the factory returned None; return the workload object"),
        )
    return workload


def _in_front(roots: Sequence[str], path: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*roots, *(entry for entry in path if entry not in roots)]))
