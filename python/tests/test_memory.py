"""After a failure nothing of ours keeps the exception, its frames, or the state (weak references).

The garbage collector is off, so that a reference cycle counts as kept.
"""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import Caller, Project

from torchbed._host import host

Open = Callable[..., Caller]


@pytest.fixture(autouse=True)
def without_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


HOOKS = {
    "a plain raise": "raise ValueError('x')",
    "an exception that its own frame holds": (
        "try: raise ValueError('x')\nexcept ValueError as e:\n    kept = e\n    raise"
    ),
    "a chain whose frames hold it": (
        "try:\n    try: 1 / 0\n    except Exception as e:\n        first = e\n"
        "        raise ValueError('x') from e\n"
        "except ValueError as e:\n    second = e\n    raise"
    ),
    "a group": (
        "try: 1 / 0\nexcept Exception as e:\n    kept = e\n"
        "    raise ExceptionGroup('g', [e]) from None"
    ),
    "SystemExit": "raise SystemExit(1)",
    "a refused metric": "return {'loss': big}",
    "a result of the wrong kind": "return big",
    "deep recursion": "return self.evaluate(state, split)",
}


def workload_source(body: str, prefix: str = "") -> str:
    lines = "\n".join(f"                {line}" for line in body.splitlines())
    return f"""
        import weakref
        class Big: pass
        seen = []
        class W:
            def __init__(self, config): config.append(seen)
            def init_model(self, device):
                state = Big()
                seen.append(weakref.ref(state))
                return state
            {prefix}def evaluate(self, state, split):
                big = Big()
                seen.append(weakref.ref(big))
{lines}
    """


def kept(references: list[weakref.ref[Any]]) -> list[object]:
    return [reference() for reference in references if reference() is not None]


@pytest.mark.parametrize("body", HOOKS.values(), ids=HOOKS.keys())
def test_locals_of_a_failed_hook_are_freed_at_once_and_the_state_on_release(
    open_workload: Open, body: str
) -> None:
    config: list[list[weakref.ref[Any]]] = []
    caller = open_workload(workload_source(body), config)
    model = caller.new_model()
    caller.failure("evaluate", model_id=model, split="Test")
    state, *of_the_hook = config[0]
    assert len(of_the_hook) > 0
    assert kept(of_the_hook) == []
    assert state() is not None
    host.release([(caller.session, 1)])
    assert state() is None


@pytest.mark.parametrize("body", [HOOKS["a plain raise"], HOOKS["a chain whose frames hold it"]])
def test_locals_of_a_failed_async_hook_are_freed_at_once(open_workload: Open, body: str) -> None:
    config: list[list[weakref.ref[Any]]] = []
    source = workload_source(f"import asyncio\nawait asyncio.sleep(0)\n{body}", prefix="async ")
    caller = open_workload(source, config)
    model = caller.new_model()
    assert caller.failure("evaluate", model_id=model, split="Test")["python_type"] == "ValueError"
    state, *of_the_hook = config[0]
    assert kept(of_the_hook) == []
    caller.ok("release_model", model_id=model)
    assert state() is None


def test_arguments_of_a_call_are_freed_when_it_ends(open_workload: Open) -> None:
    class Argument(list[object]):
        pass

    caller = open_workload("""
        class W:
            def train_window(self, state, batches): raise ValueError(batches)
    """)
    model = caller.new_model()
    batch = Argument()
    reference = weakref.ref(batch)
    caller.failure("train_window", model_id=model, batches=[batch])
    del batch
    assert reference() is None


def test_a_failed_factory_keeps_nothing(project: Project) -> None:
    project.write(
        "failing_factory",
        """
        import weakref
        class Big: pass
        seen = []
        def create(config):
            big = Big()
            seen.append(weakref.ref(big))
            try: raise ValueError('x')
            except ValueError as e:
                kept = e
                raise
        """,
    )
    answered, _ = project.open("failing_factory:create")
    assert not answered
    import failing_factory  # type: ignore[import-not-found]

    assert kept(failing_factory.seen) == []


def test_closing_a_workload_frees_its_states_and_the_workload_itself(project: Project) -> None:
    project.write(
        "closing_workload",
        """
        import weakref
        seen = []
        class State: pass
        class W:
            def __init__(self, config): seen.append(weakref.ref(self))
            def init_model(self, device):
                state = State()
                seen.append(weakref.ref(state))
                return state
        """,
    )
    answered, opened = project.open("closing_workload:W")
    assert answered
    Caller(opened["session"]).new_model()
    import closing_workload  # type: ignore[import-not-found]

    assert len(kept(closing_workload.seen)) == 2
    host.dispatch(host.HOST_SESSION, "close_workload", {"session": opened["session"]})
    assert kept(closing_workload.seen) == []
