"""host.shutdown: what Python does at exit, in bounded time, while the interpreter stays."""

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from torchbed._host import host

ROOT = Path(host.__file__).parents[2]


def ended(source: str) -> tuple[list[object], float, str]:
    """Run a program that ends with host.shutdown() and leaves as the bridge does.

    Returns the list `said` that it filled, the seconds that shutdown took, and its stderr.
    """
    program = textwrap.dedent("""
        import atexit, json, os, sys, threading, time
        from torchbed._host import host
        said = []
        def leave():
            began = time.monotonic()
            host.shutdown()
            seconds = time.monotonic() - began
            os.write(1, json.dumps([said, seconds]).encode())
            os._exit(0)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(source) + "\nleave()"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    said, seconds = json.loads(done.stdout)
    return said, seconds, done.stderr


def test_exit_functions_run_once_last_registered_first_on_the_calling_thread() -> None:
    said, _, _ = ended("""
        for name in "ab":
            atexit.register(lambda n: said.append([n, threading.current_thread().name]), name)
        host.shutdown()
    """)
    assert said == [["b", "MainThread"], ["a", "MainThread"]]


def test_an_exit_function_that_raises_is_reported_and_the_others_run() -> None:
    said, _, stderr = ended("""
        atexit.register(said.append, "first")
        atexit.register(lambda: 1 / 0)
        atexit.register(lambda: sys.exit(3))
        atexit.register(said.append, "last")
    """)
    assert said == ["last", "first"]
    assert "ZeroDivisionError" in stderr


def test_thread_pools_end_before_exit_functions_run() -> None:
    said, seconds, _ = ended("""
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(2)
        pool.submit(lambda: (time.sleep(0.2), said.append("job")))
        atexit.register(said.append, "exit function")
    """)
    assert said == ["job", "exit function"]
    assert seconds < 1


def test_a_thread_pool_that_never_ends_does_not_hold_up_the_exit() -> None:
    said, seconds, _ = ended("""
        from concurrent.futures import ThreadPoolExecutor
        ThreadPoolExecutor(1).submit(time.sleep, 100)
        atexit.register(said.append, "exit function")
    """)
    assert said == ["exit function"]
    assert seconds < 1.6


def test_non_daemon_threads_get_a_moment_but_not_for_ever() -> None:
    said, seconds, _ = ended("""
        def work(seconds):
            time.sleep(seconds)
            said.append(seconds)
        threading.Thread(target=work, args=(0.2,)).start()
        threading.Thread(target=work, args=(100,)).start()
    """)
    assert said == [0.2]
    assert seconds < 1.6


def test_daemon_threads_are_not_waited_for() -> None:
    _, seconds, _ = ended("threading.Thread(target=time.sleep, args=(100,), daemon=True).start()")
    assert seconds < 0.8


def test_workloads_are_closed_and_async_leftovers_cancelled(tmp_path: Path) -> None:
    tmp_path.joinpath("leaving.py").write_text(
        textwrap.dedent("""
        import asyncio
        class W:
            def __init__(self, config): self.said = config
            async def init_model(self, device):
                async def wait():
                    try: await asyncio.sleep(100)
                    finally: self.said.append("cancelled")
                self.task = asyncio.create_task(wait())
                await asyncio.sleep(0)
                return self
        """)
    )
    said, seconds, _ = ended(f"""
        params = {{"factory": "leaving:W", "config": said, "env": {{}},
                   "module_search_roots": [{str(tmp_path)!r}]}}
        assert host.dispatch(0, "open_workload", params)[0]
        assert host.dispatch(1, "init_model", {{"device": "cpu"}})[0]
        atexit.register(lambda: said.append(host.dispatch(1, "hello", None)[1]["code"]))
    """)
    assert said == ["cancelled", "ERR_RUNTIME_CLOSED"]
    assert seconds < 1


def test_what_was_printed_is_flushed_even_if_an_exit_function_prints() -> None:
    _, _, stderr = ended("""
        import io
        sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), write_through=False)
        sys.stderr.write("before ")
        atexit.register(lambda: sys.stderr.write("in exit function"))
    """)
    assert stderr == "before in exit function"


def test_shutdown_in_a_process_that_did_nothing_is_quick() -> None:
    began = time.monotonic()
    _, seconds, _ = ended("")
    assert seconds < 0.8
    assert time.monotonic() - began < 30
