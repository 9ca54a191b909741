"""The weighted mean of models: exact where a naive one overflows, rounds or spreads a NaN."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchbed.workload import weighted_merge


def of(*values: float, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor(values, dtype=dtype)}


def test_the_mean_is_weighted_and_counters_are_the_base_s() -> None:
    base = {**of(1.0), "steps": torch.tensor(7)}
    merged = weighted_merge(
        base,
        [
            ("a", {**of(2.0), "steps": torch.tensor(1)}, 1.0),
            ("b", {**of(5.0), "steps": torch.tensor(2)}, 3.0),
        ],
    )
    assert merged["w"].tolist() == [4.25]
    assert merged["steps"].item() == 7


def test_a_candidate_without_weight_takes_no_part_whatever_it_holds() -> None:
    merged = weighted_merge(of(1.0), [("bad", of(float("nan")), 0.0), ("good", of(3.0), 2.0)])
    assert merged["w"].tolist() == [3.0]
    assert weighted_merge(of(1.0), [("bad", of(float("nan")), 0.0)])["w"].tolist() == [1.0]
    assert weighted_merge(of(1.0), [])["w"].tolist() == [1.0]


def test_huge_weights_do_not_overflow() -> None:
    candidates = [(name, of(value), 1e308) for name, value in (("a", 1.0), ("b", 2.0), ("c", 6.0))]
    assert weighted_merge(of(0.0), candidates)["w"].tolist() == [3.0]


def test_a_hundred_bfloat16_candidates_are_rounded_once() -> None:
    values = torch.linspace(1, 2, 100).to(torch.bfloat16)
    candidates = [(str(i), {"w": value.reshape(1)}, 1.0) for i, value in enumerate(values)]
    merged = weighted_merge(of(1.0, dtype=torch.bfloat16), candidates)["w"]
    assert merged.dtype == torch.bfloat16
    assert merged.item() == values.double().mean().to(torch.bfloat16).item()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_peer(value: float) -> None:
    with pytest.raises(ValueError, match="peer 'eve' holds NaN or infinity in 'w'"):
        weighted_merge(of(1.0), [("good", of(2.0), 1.0), ("eve", of(value), 1.0)])
    with pytest.raises(ValueError, match="peer 'eve' has the merge weight"):
        weighted_merge(of(1.0), [("eve", of(2.0), value)])


def test_other_names_and_shapes_are_refused_by_peer() -> None:
    with pytest.raises(
        ValueError, match=r"peer 'eve' has other tensors than the base: \['v', 'w'\]"
    ):
        weighted_merge(of(1.0), [("eve", {"v": torch.zeros(1)}, 1.0)])
    with pytest.raises(ValueError, match=r"'w' of peer 'eve' has the shape \(2,\)"):
        weighted_merge(of(1.0), [("eve", of(1.0, 2.0), 1.0)])


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)), min_size=1, max_size=8))
def test_the_mean_lies_between_its_candidates(pairs: list[tuple[float, float]]) -> None:
    candidates = [
        (str(i), of(value, dtype=torch.float64), weight) for i, (value, weight) in enumerate(pairs)
    ]
    merged = weighted_merge(of(0.0, dtype=torch.float64), candidates)["w"].item()
    heavy = [value for value, weight in pairs if weight > 0] or [0.0]
    assert min(heavy) - 1e-6 <= merged <= max(heavy) + 1e-6
