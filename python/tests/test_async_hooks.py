"""Hooks that are `async def`, or that return an awaitable."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from conftest import Caller, Project

from torchbed._host.awaiting import Awaiter

Open = Callable[..., Caller]


def test_every_hook_may_be_async(open_workload: Open, tmp_path: Path) -> None:
    caller = open_workload("""
        import asyncio
        async def soon(value):
            await asyncio.sleep(0.001)
            return value
        class W:
            async def runtime_device(self): return await soon("cpu")
            async def capability_probe(self):
                return await soon({"preferred_backends": [], "work_units_per_second": 1,
                                   "target_window_seconds": 1})
            async def init_model(self, device): return await soon({"n": 0})
            async def train_window(self, state, batches): state["n"] += 1; return await soon(state)
            async def evaluate(self, state, split): return await soon(state)
            async def apply_patch(self, patch): return await soon("Applied")
            async def materialize_model_artifact(self, state): return await soon(b"bytes")
            async def load_model_artifact(self, state, data): return await soon({"n": len(data)})
            async def merge_candidate_models(self, b, c, p): return await soon({"n": 100})
            async def apply_single_root_ema(self, base, merged, p): return await soon({"n": 200})
            async def reconcile_canonical_model(self, l, c, s): return await soon({"n": 300})
    """)
    path = str(tmp_path / "artifact")

    def n(model: str) -> object:
        return caller.ok("evaluate", model_id=model, split="Test")["metrics"]["n"]

    assert caller.ok("capability_probe")["runtime_device"] == "cpu"
    model = caller.new_model()
    assert caller.ok("train_window", model_id=model, batches=[]) == {"metrics": {"n": 1}}
    assert caller.ok("apply_patch") == "Applied"
    caller.ok("materialize_model_artifact", model_id=model, artifact_path=path)
    caller.ok("load_model_artifact", model_id=model, artifact_path=path)
    assert n(model) == 5
    merged = caller.ok("merge_candidate_models", base_model_id=model, candidates=[], policy="Ema")[
        "model_id"
    ]
    assert n(merged) == 100
    caller.ok("apply_single_root_ema", base_model_id=model, merged_model_id=merged, policy="Ema")
    assert n(merged) == 200
    caller.ok(
        "reconcile_canonical_model",
        local_model_id=model,
        canonical_model_id=merged,
        strategy="Replace",
    )
    assert n(merged) == 300


def test_a_plain_hook_may_return_a_future_or_any_awaitable(open_workload: Open) -> None:
    caller = open_workload("""
        import asyncio
        class Later:
            def __await__(self):
                yield from asyncio.sleep(0).__await__()
                return {"loss": 0.5}
        class W:
            def train_window(self, state, batches): return Later()
    """)
    result = caller.ok("train_window", model_id=caller.new_model(), batches=[])
    assert result == {"metrics": {"loss": 0.5}}


def test_all_hooks_share_one_loop_and_what_belongs_to_it_lives_on(open_workload: Open) -> None:
    caller = open_workload("""
        import asyncio
        class W:
            async def init_model(self, device):
                return {"loop": asyncio.get_running_loop(), "lock": asyncio.Lock()}
            async def train_window(self, state, batches):
                async with state["lock"]:
                    return {"same": state["loop"] is asyncio.get_running_loop()}
    """)
    model = caller.new_model()
    for _ in range(3):
        result = caller.ok("train_window", model_id=model, batches=[])
        assert result == {"metrics": {"same": True}}


def test_a_background_task_goes_on_while_a_later_hook_is_awaited(open_workload: Open) -> None:
    caller = open_workload("""
        import asyncio
        class W:
            async def init_model(self, device):
                state = {"n": 0}
                async def count():
                    for _ in range(5):
                        await asyncio.sleep(0.001)
                        state["n"] += 1
                self.task = asyncio.create_task(count())
                return state
            async def evaluate(self, state, split):
                await asyncio.sleep(0.05)
                return state
    """)
    model = caller.new_model()
    assert caller.ok("evaluate", model_id=model, split="Test") == {"metrics": {"n": 5}}


def test_an_async_hook_that_raises_is_told_like_any_other(open_workload: Open) -> None:
    caller = open_workload("""
        import asyncio
        class W:
            async def evaluate(self, state, split):
                await asyncio.sleep(0)
                raise ValueError("async")
    """)
    failure = caller.failure("evaluate", model_id=caller.new_model(), split="Test")
    assert failure["message"] == "ValueError: async"
    assert "in evaluate" in failure["traceback"].splitlines()[1]


def test_a_task_that_cancels_itself_is_a_hook_that_raised(open_workload: Open) -> None:
    caller = open_workload("""
        import asyncio
        class W:
            async def evaluate(self, state, split): raise asyncio.CancelledError
    """)
    failure = caller.failure("evaluate", model_id=caller.new_model(), split="Test")
    assert (failure["code"], failure["python_type"]) == (
        "ERR_HOOK_RAISED",
        "asyncio.exceptions.CancelledError",
    )


def test_sync_hooks_may_run_an_event_loop_of_their_own(open_workload: Open) -> None:
    caller = open_workload("""
        import asyncio
        async def loss(): return 0.5
        class W:
            def train_window(self, state, batches): return {"loss": asyncio.run(loss())}
            async def evaluate(self, state, split): return {"loss": await loss()}
    """)
    model = caller.new_model()
    for _ in range(2):
        assert caller.ok("train_window", model_id=model, batches=[])["metrics"]["loss"] == 0.5
        assert caller.ok("evaluate", model_id=model, split="Test")["metrics"]["loss"] == 0.5


def test_closing_cancels_what_is_left_and_is_bounded_when_that_is_ignored() -> None:
    ends: list[str] = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ends.append("tidy")

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                ends.append("stubborn")

    async def leave_behind() -> None:
        background.append(asyncio.create_task(tidy()))
        background.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)

    background: list[asyncio.Task[None]] = []
    awaiter = Awaiter()
    awaiter.result(leave_behind())
    loop = background[0].get_loop()
    began = loop.time()
    awaiter.close()
    awaiter.close()
    assert loop.time() - began < 2
    assert sorted(ends) == ["stubborn", "tidy"]
    assert loop.is_closed()
    # It is collected while pending, on which asyncio would remark.
    background[1]._log_destroy_pending = False  # type: ignore[attr-defined]
    assert background[0].cancelled()


def test_a_factory_may_be_async(project: Project) -> None:
    project.write("async_factory", "class W: pass\nasync def create(config): return W()")
    answered, opened = project.open("async_factory:create")
    assert (answered, opened["workload_name"]) == (True, "W")
