"""The functions that the bridge calls."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Caller, Project
from hypothesis import given
from hypothesis import strategies as st

import torchbed
from torchbed._host import host

Open = Callable[..., Caller]
ROOT = Path(host.__file__).parents[2]


def ask(method: str, params: object = None) -> Any:
    answered, result = host.dispatch(host.HOST_SESSION, method, params)
    assert answered, result
    return result


def in_fresh_python(source: str, *arguments: str) -> str:
    """Run a program on a Python of its own, outside this folder, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *arguments, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_info_tells_which_python_this_is() -> None:
    info = ask("info")
    assert info["python_version"] == ".".join(map(str, sys.version_info[:3]))
    assert info["executable"] == sys.executable
    assert info["prefix"] == sys.prefix
    assert info["base_prefix"] == sys.base_prefix


@pytest.mark.torch
def test_info_tells_torchs_version_without_importing_it() -> None:
    printed = in_fresh_python("""
        import json, sys
        from torchbed._host import host
        print(json.dumps([host.dispatch(0, "info", None)[1], "torch" in sys.modules]))
    """)
    info, imported = json.loads(printed)
    assert (info["torch_imported"], imported) == (False, False)
    import torch

    assert info["torch_version"].split("+")[0] == torch.__version__.split("+")[0]


def test_the_package_imports_and_serves_without_torch_numpy_and_site_packages(
    project: Project,
) -> None:
    project.write(
        "lonely",
        """
        class W:
            def __init__(self, config): pass
            def init_model(self, device): import torch
        """,
    )
    printed = in_fresh_python(
        f"""
        import json
        from torchbed._host import host
        params = {{"factory": "lonely:W", "config": None, "env": {{}},
                   "module_search_roots": [{str(project.root)!r}]}}
        opened = host.dispatch(0, "open_workload", params)
        failed = host.dispatch(1, "init_model", {{"device": "cpu"}})
        print(json.dumps([opened, failed, host.dispatch(0, "info", None)]))
        """,
        "-S",
    )
    opened, failed, info = json.loads(printed)
    assert opened == [True, {"session": 1, "workload_name": "W"}]
    assert failed[1]["code"] == "ERR_TORCH_MISSING"
    assert info[1]["torch_version"] is None


def test_sessions_are_numbered_from_1_and_not_used_again(project: Project) -> None:
    project.write("host_numbers", "class W:\n    def __init__(self, config): pass\n")
    first = project.open("host_numbers:W")[1]["session"]
    ask("close_workload", {"session": first})
    second = project.open("host_numbers:W")[1]["session"]
    assert second == first + 1
    ask("close_workload", {"session": second})


def test_a_closed_workload_answers_no_more_and_closing_twice_is_harmless(
    open_workload: Open,
) -> None:
    caller = open_workload("class W: pass")
    assert ask("close_workload", {"session": caller.session}) is None
    assert ask("close_workload", {"session": caller.session}) is None
    failure = caller.failure("hello")
    assert failure["code"] == "ERR_RUNTIME_CLOSED"
    assert f"session {caller.session} " in failure["message"]


@pytest.mark.parametrize("session", [-1, 10**9, "1", None])
def test_an_unknown_session_is_closed(session: Any) -> None:
    answered, failure = host.dispatch(session, "hello", None)
    assert not answered
    assert failure["code"] == "ERR_RUNTIME_CLOSED"  # type: ignore[index]


@pytest.mark.parametrize("method", ["hello", "close", "", "_close"])
def test_the_host_refuses_methods_that_are_not_its_own(method: str) -> None:
    answered, failure = host.dispatch(host.HOST_SESSION, method, None)
    assert not answered
    assert failure["code"] == "ERR_UNKNOWN_METHOD"  # type: ignore[index]
    assert failure["message"] == f"unknown method {method!r}"  # type: ignore[index]


@pytest.mark.parametrize("params", [None, 3, [], {}, {"session": "1"}, {"session": True}])
def test_malformed_parameters_of_the_host_are_a_protocol_error(params: object) -> None:
    answered, failure = host.dispatch(host.HOST_SESSION, "close_workload", params)
    assert not answered
    assert failure["code"] == "ERR_PROTOCOL"  # type: ignore[index]


def test_release_drops_models_and_ignores_what_it_does_not_know(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    caller.new_model(), caller.new_model()
    host.release([(caller.session, 1), (caller.session, 1), (caller.session, 99), (10**9, 1)])
    assert caller.failure("evaluate", model_id="m1", split="Test")["code"] == "ERR_UNKNOWN_MODEL"
    assert caller.ok("evaluate", model_id="m2", split="Test") == {"metrics": {}}


def test_release_never_raises_whatever_it_gets(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    caller.new_model()
    host.release([(caller.session,), (None, {}), (caller.session, 1)])  # type: ignore[list-item]
    host.release(None)  # type: ignore[arg-type]
    assert caller.failure("evaluate", model_id="m1", split="Test")["code"] == "ERR_UNKNOWN_MODEL"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)
METHODS = ["open_workload", "close_workload", "hello", "init_model", "train_window", "apply_patch"]


@given(st.integers(-1, 1), st.sampled_from(METHODS) | st.text(), values)
def test_dispatch_never_raises_whatever_it_gets(session: int, method: str, params: object) -> None:
    answered, content = host.dispatch(session, method, params)
    if not answered:
        assert content["code"] != "ERR_PYTHON_HOST", content  # type: ignore[index]


def test_the_public_door_has_a_version_and_what_it_promises() -> None:
    assert torchbed.__version__.count(".") == 2
    for name in torchbed.__all__:
        assert getattr(torchbed, name) is not None


# --- start: needs a bridge, so it gets a recorder in its place, in a separate process ---

RECORDER = """
    import json, os, sys, types
    bridge = types.ModuleType("_torchbed_bridge")
    written = []
    bridge.write = lambda stream, text: written.append([stream, text])
    bridge.should_stop = lambda: True
    bridge.progress = lambda step, total, metrics: None
    bridge.count_models = lambda number: None
    bridge.has_urgent = lambda: False
    bridge.run_urgent = lambda: None
    bridge.hold_signal = bridge.share_signal = lambda number: None
    bridge.interrupt_signal = lambda: 50
    bridge.urgency = lambda: 0
    bridge.stack_signal = lambda: 0
    bridge.set_stack_pipe = lambda descriptor: None
    bridge.set_ending = lambda is_ending: None
    sys.modules["_torchbed_bridge"] = bridge
    from torchbed._host import host
    import torchbed
    def report(value): os.write(1, json.dumps(value).encode())
"""


def started(source: str) -> Any:
    """Run a program in which host.start() has been called, and return what it reports."""
    program = textwrap.dedent(RECORDER) + "host.start()\n" + textwrap.dedent(source)
    return json.loads(in_fresh_python(program))


def test_start_sends_output_to_the_bridge_and_a_second_start_does_nothing() -> None:
    assert started("""
        host.start()
        print("out"); print("err", file=sys.stderr)
        sys.__stdout__.write("original\\n")
        report(written)
    """) == [[1, "out\n"], [2, "err\n"], [1, "original\n"]]


def test_start_makes_should_stop_ask_the_bridge() -> None:
    assert started("report(torchbed.should_stop())") is True


def test_start_gives_an_empty_stdin_so_that_no_hook_waits_for_it() -> None:
    assert started("report(sys.stdin.read())") == ""


def test_start_makes_spawn_the_default_yet_lets_user_code_choose_once() -> None:
    assert started("""
        import multiprocessing
        before = multiprocessing.get_start_method(allow_none=True)
        default = multiprocessing.get_context().get_start_method()
        report([before, default])
    """) == [None, "spawn"]
    assert (
        started("""
        import multiprocessing
        multiprocessing.set_start_method("spawn")
        report(multiprocessing.get_start_method())
    """)
        == "spawn"
    )


def test_start_respects_a_start_method_that_was_set_already() -> None:
    program = textwrap.dedent(RECORDER) + textwrap.dedent("""
        import multiprocessing
        multiprocessing.set_start_method("forkserver")
        host.start()
        report(multiprocessing.get_start_method())
    """)
    assert json.loads(in_fresh_python(program)) == "forkserver"
