"""The worker as its host sees it: a real process at the other end of a socket."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TOKEN = "0123456789abcdef"

WORKLOAD = """
    import atexit, multiprocessing, os, sys, time
    import torchbed

    class Workload:
        def __init__(self, config): self.config = config
        def runtime_device(self): return "python-plain"
        def init_model(self, device): return {}
        def train_window(self, state, batches):
            return eval(batches[0], globals() | {"workload": self})
        def evaluate(self, state, split):
            exec(split, globals() | {"workload": self})
            return {"done": True}

    def fail(config): raise LookupError("no such dataset")
"""


class Host:
    """Starts a worker, waits for its connection, and sends it requests."""

    def __init__(self, roots: Path, factory: str, config: str, **env: str) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(30)
        command = [sys.executable, "-P", "-m", "torchbed.worker"]
        command += ["--factory", factory, "--config-json", config]
        command += ["--connect-host", "127.0.0.1"]
        command += ["--connect-port", str(listener.getsockname()[1])]
        path = os.pathsep.join([str(ROOT), str(roots)])
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.connection, _ = listener.accept()
        self.connection.settimeout(30)
        self.reader = self.connection.makefile("rb")
        listener.close()
        self.number = 0

    def write(self, body: bytes) -> None:
        self.connection.sendall(struct.pack(">Q", len(body)) + body)

    def read(self) -> Any:
        (length,) = struct.unpack(">Q", self.reader.read(8))
        return json.loads(self.reader.read(length))

    def send(self, method: str, params: object = None) -> None:
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        self.write(json.dumps(request).encode())

    def call(self, method: str, params: object = None) -> Any:
        self.send(method, params)
        response = self.read()
        assert response["id"] == self.number
        return response

    def train(self, expression: str) -> Any:
        return self.call("train_window", {"model_id": "m1", "batches": [expression]})

    def start(self, statements: str) -> None:
        self.send("evaluate", {"model_id": "m1", "split": statements})
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "busy\n"

    def ended(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def close(self) -> None:
        self.reader.close()
        self.connection.close()
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Host]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    hosts: list[Host] = []

    def start_(factory: str = "isolated:Workload", config: str = "{}", **env: str) -> Host:
        (tmp_path / "isolated.py").write_text(textwrap.dedent(WORKLOAD))
        hosts.append(Host(tmp_path, factory, config, **env))
        return hosts[-1]

    yield start_
    for host in hosts:
        host.close()


@pytest.fixture
def host(start: Start) -> Host:
    host = start()
    assert host.call("init_model", {"device": "cpu"})["result"] == {"model_id": "m1"}
    return host


def test_sends_its_token_first_and_hides_it_from_the_workload(start: Start) -> None:
    host = start(TORCHBED_WORKER_TOKEN=TOKEN)
    assert host.read() == {"token": TOKEN}
    host.call("init_model", {"device": "cpu"})
    answer = host.train("{'seen': os.environ.get('TORCHBED_WORKER_TOKEN', 'nothing')}")
    assert answer["result"] == {"metrics": {"seen": "nothing"}}


def test_sends_no_token_when_it_was_given_none(start: Start) -> None:
    assert start().call("hello")["result"]["workload_name"] == "Workload"


def test_connects_before_it_imports_the_workload_whose_failure_answers_every_call(
    start: Start,
) -> None:
    host = start("isolated:fail")
    for _ in range(2):
        answer = host.call("hello")
        assert answer["ok"] is False
        assert answer["failure"]["code"] == "ERR_WORKLOAD_IMPORT"
        assert answer["failure"]["python_type"] == "LookupError"
        assert "LookupError: no such dataset" in answer["error"]
        assert "Traceback (most recent call last):" in answer["error"]


def test_gives_the_factory_its_config_with_nan_and_large_integers(start: Start) -> None:
    host = start(config='{"a": NaN, "b": 18446744073709551617, "c": 1.0, "d": "\\ud800"}')
    host.call("init_model", {"device": "cpu"})
    shown = host.train("{'config': repr(workload.config)}")["result"]["metrics"]["config"]
    assert shown == "{'a': nan, 'b': 18446744073709551617, 'c': 1.0, 'd': '\\ud800'}"


def test_an_error_is_text_and_traceback_as_in_the_reference_and_a_failure_beside(
    host: Host,
) -> None:
    answer = host.train("1 / 0")
    assert answer["ok"] is False
    assert answer["error"].startswith("ZeroDivisionError: division by zero\nTraceback (most")
    assert answer["error"].rstrip().endswith("ZeroDivisionError: division by zero")
    assert answer["failure"]["code"] == "ERR_HOOK_RAISED"


def test_skips_an_empty_request_without_an_answer(host: Host) -> None:
    for empty in (b"{}", b"null", b"[]"):
        host.write(empty)
    assert host.call("hello")["ok"] is True


def test_answers_a_method_that_is_no_text(host: Host) -> None:
    host.write(b'{"id": 2, "method": 5}')
    assert host.read()["failure"]["code"] == "ERR_PROTOCOL"


def test_multiprocessing_spawns_by_default(host: Host) -> None:
    method = "{'method': multiprocessing.get_start_method()}"
    assert host.train(method)["result"]["metrics"] == {"method": "spawn"}


def test_nothing_of_the_working_folder_is_imported(host: Host) -> None:
    answer = host.train("{'cwd': os.getcwd() in sys.path or '' in sys.path}")
    assert answer["result"]["metrics"] == {"cwd": False}


def test_shutdown_answers_runs_exit_functions_and_ends(host: Host) -> None:
    host.train("atexit.register(print, 'at exit') and {}")
    assert host.call("shutdown")["result"] == {"ok": True}
    assert host.ended(10) == 0
    assert host.process.communicate()[0] == "at exit\n"


def test_ends_when_the_host_closes_an_idle_connection(host: Host) -> None:
    host.reader.close()
    host.connection.close()
    assert host.ended(10) == 0


def test_ends_in_the_middle_of_a_call_when_the_host_is_gone(host: Host) -> None:
    host.start("print('busy')\nwhile True: pass")
    host.reader.close()
    host.connection.close()
    assert host.ended(5) == 0  # the call was cancelled, and the worker left as usual


def test_ends_when_the_host_is_gone_and_the_hook_does_not_let_itself_be_interrupted(
    host: Host,
) -> None:
    loop = "while True:\n  try: time.sleep(1)\n  except BaseException: pass"
    host.start(f"print('busy')\n{loop}")
    time.sleep(0.2)  # until it is inside the try
    host.reader.close()
    host.connection.close()
    assert host.ended(10) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is that of Linux")
def test_is_killed_with_the_process_that_started_it_even_in_c_code(tmp_path: Path) -> None:
    # The parent keeps the connection in a child of its own, so that only its death can be noticed.
    (tmp_path / "isolated.py").write_text(textwrap.dedent(WORKLOAD))
    script = f"""
        import os, sys, time
        sys.path[:0] = [{str(Path(__file__).parent)!r}]
        from pathlib import Path
        from test_worker import Host
        host = Host(Path({str(tmp_path)!r}), "isolated:Workload", "null")
        host.call("init_model", {{"device": "cpu"}})
        host.start("import ctypes; print('busy'); ctypes.PyDLL(None).sleep(60)")
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        print(host.process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.stdout.close()
    assert parent.wait(10) == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while is_running(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # nobody may be there to reap it


class TestInterrupt:
    def interrupt(self, host: Host) -> None:
        host.process.send_signal(signal.SIGINT)

    def test_cancels_the_running_call(self, host: Host) -> None:
        host.start("print('busy')\nwhile True: pass")
        self.interrupt(host)
        assert host.read()["failure"]["code"] == "ABORT_ERR"
        assert host.call("hello")["ok"] is True

    def test_cancels_whatever_the_hook_makes_of_it(self, host: Host) -> None:
        host.start(
            "try: print('busy'); time.sleep(30)\n"
            "except KeyboardInterrupt: raise ValueError('stopped') from None"
        )
        self.interrupt(host)
        assert host.read()["failure"]["code"] == "ABORT_ERR"

    def test_is_seen_by_should_stop(self, host: Host) -> None:
        host.start(
            "print('busy')\n"
            "while not torchbed.should_stop():\n"
            "  try: time.sleep(0.01)\n"
            "  except KeyboardInterrupt: pass"
        )
        self.interrupt(host)
        assert host.read()["failure"]["code"] == "ABORT_ERR"
        answer = host.train("{'asked': torchbed.should_stop()}")
        assert answer["result"]["metrics"] == {"asked": False}

    def test_comes_once_a_call(self, host: Host) -> None:
        host.start(
            "try: print('busy'); time.sleep(30)\n"
            "except KeyboardInterrupt: print('cleaning'); time.sleep(0.3); print('clean')"
        )
        assert host.process.stdout is not None
        self.interrupt(host)
        assert host.process.stdout.readline() == "cleaning\n"
        self.interrupt(host)
        assert host.read()["failure"]["code"] == "ABORT_ERR"
        assert host.process.stdout.readline() == "clean\n"

    def test_does_nothing_while_no_call_runs(self, host: Host) -> None:
        for _ in range(5):
            self.interrupt(host)
            time.sleep(0.01)
            assert host.call("hello")["ok"] is True

    def test_cancels_an_async_hook_that_waits(self, host: Host) -> None:
        host.start(
            "import asyncio\n"
            "print('busy')\n"
            "async def wait(): await asyncio.sleep(30)\n"
            "asyncio.run(wait())"
        )
        self.interrupt(host)
        assert host.read()["failure"]["code"] == "ABORT_ERR"


class TestValues:
    @pytest.fixture
    def probe(self, start: Start, tmp_path: Path) -> Callable[[str], Any]:
        workloads = ROOT.parent / "test" / "workloads"
        (tmp_path / "value_probe.py").write_text((workloads / "value_probe.py").read_text())
        host = start("value_probe:create_workload")
        return lambda expression: host.call("probe", {"expression": expression, "value": None})

    @pytest.mark.parametrize(
        ("expression", "message", "path"),
        [
            ("{'a': [{1}]}", "a set cannot be passed to JavaScript", "a[0]"),
            ("{'odd key': [0, b'x']}", "a bytes cannot be passed", '["odd key"][1]'),
            ("{1: 'a'}", "a dict key of class int cannot be passed", ""),
            ("[{'x': {None: 1}}]", "a dict key of class NoneType", "[0].x"),
            ("(lambda a: a.append(a) or a)([])", "nested deeper than 128 levels", "[0]" * 128),
            ("10 ** 5000", "4300 digits", ""),
        ],
    )
    def test_what_json_cannot_carry_is_refused_with_its_place(
        self, probe: Callable[[str], Any], expression: str, message: str, path: str
    ) -> None:
        answer = probe(expression)
        assert answer["ok"] is False
        assert answer["failure"]["code"] == "ERR_VALUE"
        assert message in answer["failure"]["message"]
        assert answer["failure"].get("path", "") == path

    def test_nesting_up_to_the_limit_passes(self, probe: Callable[[str], Any]) -> None:
        nest = "__import__('functools').reduce(lambda inner, _: [inner], range({}), 1)"
        assert probe(nest.format(128))["ok"] is True
        assert probe(nest.format(129))["failure"]["code"] == "ERR_VALUE"
