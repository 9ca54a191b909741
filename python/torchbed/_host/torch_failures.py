"""A torch that is absent or cannot be imported: what is wrong and the command that repairs it."""

import os
import re
import shlex
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Literal

REPAIR = ". To repair it: "
"""Between what is wrong and the command; the host looks for it."""

MAX_CHAIN = 16
"""Causes that are looked at; a chain of causes may be a ring."""


def torch_failure(
    error: BaseException, in_words: Callable[[BaseException], str]
) -> tuple[Literal["ERR_TORCH_MISSING", "ERR_TORCH_BROKEN"], str] | None:
    """Return code and message when torch could not be imported, else None.

    in_words: writes an exception as `ImportError: text`.
    """
    link: BaseException | None = error
    for _ in range(MAX_CHAIN):
        if link is None:
            break
        if isinstance(link, ModuleNotFoundError) and link.name == "torch":
            return "ERR_TORCH_MISSING", missing()
        if isinstance(link, (ImportError, OSError)) and _in_torch_itself(link.__traceback__):
            return "ERR_TORCH_BROKEN", broken(in_words(link))
        link = link.__cause__
    return None


def missing() -> str:
    """Return the message for a Python without torch."""
    return f"The python module 'torch' is not installed for {sys.executable}{REPAIR}{_install()}"


def broken(reason: str) -> str:
    """Return the message for a torch that cannot be imported for a reason."""
    problem = f"The python module 'torch' of {sys.executable} cannot be imported: {reason}"
    if re.search(r"version `(GLIBCXX|CXXABI)_[^']*' not found", reason) is None:
        return f"{problem}{REPAIR}{_install('--force-reinstall ')}"
    older = "the C++ library that this process has loaded is older than this torch needs"
    return f"{problem}; {older}{REPAIR}{_newer_cpp_library()}"


def _in_torch_itself(start: TracebackType | None) -> bool:
    """Whether the exception left the import of the package torch, and not a later use of it."""
    while start is not None:
        frame = start.tb_frame
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") == "torch":
            return True
        start = start.tb_next
    return False


def _install(options: str = "") -> str:
    # Here, as both take longer to import than all of this package.
    import importlib.util
    import sysconfig

    python = shlex.quote(sys.executable)
    managed = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix == sys.base_prefix and os.path.exists(managed):
        # Such a Python refuses pip; .venv in the working folder is found by itself.
        return f"{python} -m venv .venv && .venv/bin/python -m pip install torch"
    if importlib.util.find_spec("pip") is None:
        return f"uv pip install --python {python} {options}torch"
    return f"{python} -m pip install {options}torch"


def _newer_cpp_library() -> str:
    own = os.path.join(sys.prefix, "lib", "libstdc++.so.6")
    if os.path.exists(own):
        # conda's own is newer, but Node.js has loaded the system's first.
        return f"export LD_PRELOAD={shlex.quote(own)}"
    if os.path.exists("/etc/debian_version"):
        sudo = "" if os.geteuid() == 0 else "sudo "
        return f"{sudo}apt-get install -y --only-upgrade libstdc++6"
    return _install("--force-reinstall ")
