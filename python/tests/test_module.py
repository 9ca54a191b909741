"""torchbed.workload.Module: a workload of any nn.Module, a loss and an optimizer."""

import math
from pathlib import Path
from typing import Any

import pytest

from torchbed.workload import Module

pytestmark = pytest.mark.torch


def line(**settings: Any) -> Module:
    """A model y = w x + b, whose examples are x [N, 1] and y [N, 1]."""
    import torch
    from torch import nn

    return Module(
        lambda: nn.Linear(1, 1),
        lambda model, rows: (model(rows["x"]) - rows["y"]).square().mean(),
        lambda weights: torch.optim.SGD(weights, lr=0.1),
        **{"device": "python-torch-cpu", **settings},
    )


def points(count: int) -> dict[str, Any]:
    import torch

    x = torch.linspace(0, 1, count).reshape(-1, 1)
    return {"x": x, "y": 2 * x + 1}


def payload(count: int) -> dict[str, Any]:
    return {"kind": "micro_epoch", "payload": count}


def saved(folder: Path, name: str, tensors: dict[str, Any]) -> str:
    from safetensors.torch import save_file

    save_file(tensors, folder / name)
    return str(folder / name)


def test_payloads_memory_and_files_train_alike(tmp_path: Path) -> None:
    from torchbed.tensors import plan_layout, write_tensors

    rows = points(50)
    layout = plan_layout(rows)
    memory = bytearray(layout.total_bytes)
    write_tensors(layout, rows, memory)
    path = saved(tmp_path, "a.safetensors", rows)
    workload = line(epochs=3, minibatch=8, examples=points)
    weights = []
    for batch in (
        payload(50),
        {"kind": "memory_microshard_group", "shards": [memory]},
        {"kind": "cached_microshard_group", "shard_paths": [path]},
    ):
        state = workload.init_model("python-torch-cpu")
        metrics = workload.train_window(state, [batch])
        assert metrics["examples_processed"] == 150
        assert 0 < metrics["loss"] < 1
        weights.append([tensor.tolist() for tensor in state["model"].state_dict().values()])
    assert weights[0] == weights[1] == weights[2]


def test_evaluating_in_pieces_gives_the_mean_over_all(tmp_path: Path) -> None:
    saved(tmp_path, "a.safetensors", points(7))
    saved(tmp_path, "b.safetensors", points(4))
    whole, pieces = (
        line(splits={"Test": tmp_path}, evaluation_minibatch=size) for size in (1000, 3)
    )
    expected = whole.evaluate(whole.init_model("python-torch-cpu"), "Test")
    got = pieces.evaluate(pieces.init_model("python-torch-cpu"), {"Custom": "Test"})
    assert got["examples"] == expected["examples"] == 11
    assert got["loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_predicting_gives_the_models_output_without_gradients() -> None:
    import torch

    workload = line()
    state = workload.init_model("python-torch-cpu")
    x = torch.ones(3, 1)
    output = workload.predict(state, x)
    assert output.equal(state["model"](x)) and not output.requires_grad


def test_counters_are_taken_over_by_merges_and_not_averaged() -> None:
    import torch
    from torch import nn

    workload = Module(
        lambda: nn.BatchNorm1d(2),
        lambda model, rows: model(rows["x"]).mean(),
        lambda weights: torch.optim.SGD(weights, lr=0.1),
        root_ema=0.5,
    )
    base, peer = (workload.init_model("python-torch-cpu") for _ in range(2))
    for tensor in peer["model"].state_dict().values():
        tensor.add_(2)
    candidate = {"peer_id": "p", "model": peer, "sample_weight": 1.0, "quality_weight": 1.0}
    merged = workload.merge_candidate_models(base, [candidate], "WeightedMean")
    assert merged is not None
    workload.apply_single_root_ema(base, merged, "WeightedMean")
    tensors = merged["model"].state_dict()
    assert tensors["running_mean"].tolist() == [1.0, 1.0]
    assert tensors["num_batches_tracked"].item() == 0


def test_a_loss_of_several_means_is_reported_whole() -> None:
    from torch import nn, optim

    workload = Module(
        lambda: nn.Linear(1, 1),
        lambda model, rows: {"loss": model(rows["x"]).square().mean(), "x": rows["x"].mean()},
        lambda weights: optim.SGD(weights, lr=0.1),
        examples=points,
        minibatch=7,
    )
    metrics = workload.train_window(workload.init_model("python-torch-cpu"), [payload(50)])
    assert metrics["x"] == pytest.approx(0.5)


def test_shards_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    import torch

    workload = line()
    state = workload.init_model("python-torch-cpu")
    for name, tensors, message in (
        ("rows", {"x": torch.ones(3, 1), "y": torch.ones(2, 1)}, "one row per example"),
        ("scalar", {"x": torch.ones(())}, "one row per example"),
    ):
        path = saved(tmp_path, name, tensors)
        batch = {"kind": "cached_microshard_group", "shard_paths": [path]}
        with pytest.raises(ValueError, match=message):
            workload.train_window(state, [batch])
    paths = [saved(tmp_path, "one", points(2)), saved(tmp_path, "other", {"x": torch.ones(2, 1)})]
    with pytest.raises(ValueError, match=r"the tensors \['x', 'y'\], another \['x'\]"):
        workload.train_window(state, [{"kind": "cached_microshard_group", "shard_paths": paths}])


def test_weights_that_do_not_fit_change_nothing() -> None:
    import torch

    workload = line()
    state = workload.init_model("python-torch-cpu")
    before = [tensor.clone() for tensor in state["model"].state_dict().values()]
    good = {"weight": torch.ones(1, 1), "bias": torch.ones(1)}
    for bad in (
        {"weight": torch.ones(1, 1)},
        {**good, "more": torch.ones(1)},
        {**good, "bias": torch.ones(2)},
        {**good, "bias": torch.ones(1, dtype=torch.float64)},
        {**good, "bias": torch.tensor([math.inf])},
    ):
        with pytest.raises(ValueError, match="the artifact's tensor"):
            workload.load_model_tensors(state, bad)
    after = state["model"].state_dict().values()
    assert all(old.equal(new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "settings", [{"minibatch": 0}, {"epochs": 0}, {"root_ema": 1.0}, {"device": "abacus"}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|unknown device"):
        line(**settings)
