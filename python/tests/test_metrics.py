"""Metric values: bool, int, float and str, made plain (spec hooks#metrics)."""

import math
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchbed._host.failures import CallFailed, Failure
from torchbed._host.metrics import plain_metrics


def refusal(value: object) -> Failure:
    with pytest.raises(CallFailed) as caught:
        plain_metrics({"loss": value}, "train_window")
    return caught.value.failure


plain_values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()


@given(st.dictionaries(st.text(), plain_values))
def test_plain_values_pass_unchanged_in_their_order(metrics: dict[str, Any]) -> None:
    result = plain_metrics(metrics, "evaluate")
    assert list(result) == list(metrics)
    for name, value in metrics.items():
        assert type(result[name]) is type(value)
        assert repr(result[name]) == repr(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_pass(value: float) -> None:
    assert repr(plain_metrics({"loss": value}, "evaluate")["loss"]) == repr(value)


def test_subclasses_become_the_plain_type_whatever_they_say_of_themselves() -> None:
    class Level(IntEnum):
        HIGH = 3

    class Word(str):
        def __str__(self) -> str:
            raise AssertionError

    class Vain(float):
        def __float__(self) -> float:
            raise AssertionError

        def __repr__(self) -> str:
            raise AssertionError

    result = plain_metrics({"a": Level.HIGH, "b": Word("yes"), "c": Vain(0.5)}, "evaluate")
    assert result == {"a": 3, "b": "yes", "c": 0.5}
    assert [type(value) for value in result.values()] == [int, str, float]


def test_numpy_float64_passes_and_other_numpy_values_do_not() -> None:
    numpy = pytest.importorskip("numpy")
    result = plain_metrics({"loss": numpy.float64(0.5)}, "evaluate")
    assert type(result["loss"]) is float
    for value in (numpy.float32(0.5), numpy.int64(3), numpy.bool_(True), numpy.zeros(2)):
        assert refusal(value)["code"] == "ERR_METRIC_VALUE"


@pytest.mark.parametrize("value", [None, {}, [], (1,), b"x", 1j, object()])
def test_other_values_are_refused_by_name_value_and_hook(value: object) -> None:
    failure = refusal(value)
    assert failure["code"] == "ERR_METRIC_VALUE"
    assert failure["python_type"] == "TypeError"
    assert failure["message"].startswith(f"unsupported metric value {value!r}"[:80])
    assert "'loss'" in failure["message"]
    assert "train_window" in failure["message"]


@pytest.mark.torch
def test_a_tensor_is_refused_with_item_as_the_remedy() -> None:
    import torch

    failure = refusal(torch.tensor(0.5))
    assert failure["message"] == (
        "unsupported metric value tensor(0.5000) of type Tensor for 'loss' of train_window; "
        "return a bool, int, float or str, such as the value's .item()"
    )
    assert len(refusal(torch.zeros(100, 100))["message"]) < 400


def test_a_value_whose_repr_raises_is_refused_all_the_same() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise SystemExit(3)

    assert "<unprintable Broken object>" in refusal(Broken())["message"]


@pytest.mark.parametrize("returned", [None, [], "loss", 0.5])
def test_anything_but_a_mapping_is_a_protocol_error(returned: object) -> None:
    with pytest.raises(CallFailed) as caught:
        plain_metrics(returned, "evaluate")
    assert caught.value.failure["code"] == "ERR_PROTOCOL"
    assert caught.value.failure["message"] == (
        f"evaluate must return a dict of metrics, got {returned!r}; return {{}} when there are none"
    )


def test_a_name_that_is_no_str_is_a_protocol_error() -> None:
    with pytest.raises(CallFailed) as caught:
        plain_metrics({3: 0.5}, "evaluate")
    assert caught.value.failure["code"] == "ERR_PROTOCOL"
    assert "metric name 3" in caught.value.failure["message"]


@pytest.mark.parametrize("text", ["2**63", "-(2**63) - 1", "2**64 - 1", "10**400", "10**10_000"])
def test_an_int_beyond_64_bits_is_refused_with_the_range(text: str) -> None:
    failure = refusal(eval(text))
    assert failure["code"] == "ERR_METRIC_VALUE"
    assert "'loss' of train_window is beyond 64 bits" in failure["message"]
    assert "from -2**63 to 2**63 - 1" in failure["message"]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_an_int_at_the_end_of_64_bits_passes(value: int) -> None:
    assert plain_metrics({"tokens": value}, "evaluate") == {"tokens": value}
