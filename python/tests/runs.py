"""How many cases a property generates, and what each case owes: see test/fuzz/holds.ts."""

import gc
import json
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

FULL = os.environ.get("TORCHBED_FULL") == "1"

MAX_CASE_SECONDS = 2.0
"""Longest time that one case may take: microseconds, but for a busy machine."""

MAX_GROWTH = 64 * 1024 * 1024
"""Most that the process may have grown after all cases, in bytes; hypothesis keeps some itself."""

BATCH = 2_000
"""Cases of one run of hypothesis, which remembers each until it ends: some 4 KB a case."""


def runs(ci: int, full: int = 20_000) -> int:
    """Return the number of cases: ci as a rule, full when TORCHBED_FULL=1."""
    return full if FULL else ci


def holds(title: str, cases: int, inputs: SearchStrategy[T], check: Callable[[T], Any]) -> None:
    """Call check for so many inputs. It raises where the property does not hold.

    Adds a line with the title, cases and seconds to the file TORCHBED_FUZZ_REPORT, if it is named.
    """
    done = 0

    def one(value: T) -> None:
        nonlocal done
        done += 1
        start = time.perf_counter()
        check(value)
        took = time.perf_counter() - start
        assert took <= MAX_CASE_SECONDS, f"the case took {took:.1f} s"

    decorate = settings(
        max_examples=min(cases, BATCH),
        deadline=None,  # the bound above is for all properties
        database=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    before = _in_use()
    start = time.perf_counter()
    failed = True
    try:
        for _ in range(0, cases, BATCH):
            decorate(given(inputs)(one))()
        failed = False
    finally:
        _report(title, done, time.perf_counter() - start, failed)
    growth = _in_use() - before
    assert growth <= MAX_GROWTH, f"{growth} bytes stay in use after {done} cases"


def _report(title: str, cases: int, seconds: float, failed: bool) -> None:
    path = os.environ.get("TORCHBED_FUZZ_REPORT")
    if path is not None:
        line = {"title": title, "cases": cases, "seconds": seconds, "failed": failed}
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")


def _in_use() -> int:
    if not os.path.exists("/proc/self/statm"):  # Linux alone tells it without a package
        return 0
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
