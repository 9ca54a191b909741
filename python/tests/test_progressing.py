"""How a call tells how far it is, and whether its model changed."""

import json
from typing import Any

import pytest

from torchbed import progress
from torchbed._host import progressing
from torchbed._host.state_marks import MAX_DEPTH, changed, state_marks
from torchbed._worker.progress import INTERVAL_SECONDS, ProgressLine

Told = list[tuple[int, int | None, dict[str, Any]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    seen: Told = []
    monkeypatch.setattr(progressing, "_tell", lambda *content: seen.append(content))
    return seen


def test_progress_under_plain_python_does_nothing() -> None:
    progress(1, 2, loss=0.5)


def test_progress_hands_over_plain_values(told: Told) -> None:
    class Loss(float):
        pass

    progress(3)
    progress(4, 9, loss=Loss(0.5), done=True)
    assert told == [(3, None, {}), (4, 9, {"loss": 0.5, "done": True})]
    assert type(told[1][2]["loss"]) is float


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0.5,), TypeError),
        ((True,), TypeError),
        ((1, "9"), TypeError),
        ((-1,), ValueError),
        ((1, -1), ValueError),
        ((2**53,), ValueError),
    ],
)
def test_progress_refuses_what_is_no_count(
    told: Told, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        progress(*arguments)
    assert told == []


def test_progress_refuses_a_metric_of_another_type(told: Told) -> None:
    with pytest.raises(ValueError, match="unsupported metric value"):
        progress(1, loss=None)  # type: ignore[arg-type]


def test_a_worker_sends_the_first_at_once_then_the_latest_now_and_then_and_the_last_always() -> (
    None
):
    sent: list[str] = []
    line = ProgressLine(7, sent.append)
    for step in range(1000):
        line.tell(step, None, {})
    line.finish()
    line.tell(5000, None, {})
    steps = [json.loads(text)["progress"][0] for text in sent]
    assert steps[0] == 0
    assert steps[-1] == 999
    assert len(steps) < 1000
    assert json.loads(sent[0]) == {"id": 7, "progress": [0, None, {}]}
    assert INTERVAL_SECONDS < 0.1


torch = pytest.importorskip("torch")


def test_marks_see_every_way_to_change_a_tensor_of_a_state() -> None:
    class State:
        def __init__(self) -> None:
            self.model = torch.nn.Linear(2, 2)
            self.extra = {"list": [torch.zeros(2)]}

    state = State()
    before = state_marks(state)
    assert changed(before, state_marks(state)) is None

    with torch.no_grad():
        state.model.weight.add_(1)
    in_place = state_marks(state)
    assert changed(before, in_place) is True

    state.extra["list"][0] = torch.ones(2)
    replaced = state_marks(state)
    assert changed(in_place, replaced) is True

    state.model.register_buffer("mean", torch.zeros(1))
    assert changed(replaced, state_marks(state)) is True


def test_marks_of_a_state_without_tensors_or_that_resists_are_none() -> None:
    class Resists:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise RuntimeError("no")

    assert state_marks({"steps": 1}) is None
    assert state_marks(Resists()) is None
    assert changed(None, {1: 1}) is None


def test_equal_marks_are_no_proof_of_equal_values() -> None:
    state = {"weight": torch.tensor([2.0])}
    before = state_marks(state)
    state["weight"].data.clamp_(0, 1)
    assert changed(before, state_marks(state)) in (True, None)


def test_marks_neither_read_lazy_mappings_nor_walk_long_lists() -> None:
    read: list[str] = []

    class Lazy(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            read.append(key)
            return super().__getitem__(key)

        def values(self) -> Any:
            read.append("values")
            return super().values()

    tensor = torch.zeros(1)
    state = {"lazy": Lazy(a=1), "tensor": tensor}
    assert state_marks(state) == {id(tensor): tensor._version}
    assert read == []
    assert state_marks({"samples": [0] * 1_000_000, "tensor": tensor}) is None


def test_marks_end_in_a_state_that_contains_itself_or_is_deep() -> None:
    circle: dict[str, Any] = {"tensor": torch.zeros(1)}
    circle["self"] = circle
    assert state_marks(circle) is not None
    deep: Any = torch.zeros(1)
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    assert state_marks(deep) is None
