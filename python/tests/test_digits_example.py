"""examples/digits: real data, real training, every hook, through the host."""

import importlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Caller

import torchbed
from torchbed._host import host

if TYPE_CHECKING:
    import digits_workload

    from torchbed._workload.module import ModuleState as State

    # The type checker holds the example to the protocols.
    workload: torchbed.Workload[State] = digits_workload.create_workload(None)
    loads: torchbed.ExchangesTensors[State] = digits_workload.create_workload(None)
    merges: torchbed.MergesModels[State] = digits_workload.create_workload(None)
    reconciles: torchbed.ReconcilesModels[State] = digits_workload.create_workload(None)
    keeps: torchbed.KeepsTrainingState[State] = digits_workload.create_workload(None)
    patches: torchbed.AcceptsPatches = digits_workload.create_workload(None)

pytestmark = pytest.mark.torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"


def prepare(out: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, EXAMPLE / "prepare.py", "--out", out],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    result: dict[str, Any] = json.loads(lines[0])
    return result


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("digits") / "data"
    assert prepare(out)["files_written"] == 17
    return out


@pytest.fixture
def example() -> Any:
    return importlib.import_module("digits_workload")


@pytest.fixture
def digits(data: Path) -> Iterator[Caller]:
    """The workload as config.json sets it, with the data of this test."""
    runtime = json.loads((EXAMPLE / "config.json").read_text())["runtime"]
    config = runtime["workload_config"] | {
        "train_root": str(data / "train"),
        "test_root": str(data / "test"),
    }
    params = {
        "factory": runtime["workload_factory"],
        "config": config,
        "module_search_roots": [str(EXAMPLE / root) for root in runtime["module_search_roots"]],
        "env": {},
    }
    answered, opened = host.dispatch(host.HOST_SESSION, "open_workload", params)
    assert answered, opened
    caller = Caller(opened["session"])  # type: ignore[index]
    yield caller
    host.dispatch(host.HOST_SESSION, "close_workload", {"session": caller.session})


def new_model(digits: Caller) -> str:
    return str(digits.ok("init_model", device="python-torch-cpu")["model_id"])


def batches(data: Path, shards: slice = slice(None)) -> list[dict[str, Any]]:
    """The shards in groups of four, as the default pipeline makes them."""
    paths = sorted(str(path) for path in (data / "train").iterdir())[shards]
    return [
        {
            "kind": "cached_microshard_group",
            "shard_paths": paths[start : start + 4],
            "microshard_ids": [],
            "ordinals": [],
            "bytes_len": 0,
        }
        for start in range(0, len(paths), 4)
    ]


def state_of(digits: Caller, model: str) -> Any:
    return host._host.session(digits.session)._models[model]


def weights_of(digits: Caller, model: str) -> dict[str, Any]:
    tensors = state_of(digits, model)["model"].state_dict()
    return {name: tensor.clone() for name, tensor in tensors.items()}


def fill(digits: Caller, model: str, value: float) -> None:
    for tensor in state_of(digits, model)["model"].state_dict().values():
        tensor.fill_(value)


def only_value(digits: Caller, model: str) -> float:
    """The value that all weights of a model have."""
    values = {float(v) for t in weights_of(digits, model).values() for v in t.unique()}
    assert len(values) == 1, values
    return values.pop()


# --- data ---


def test_prepared_shards_hold_all_digits_once_scaled_and_evenly_split(data: Path) -> None:
    import numpy
    from safetensors.numpy import load_file
    from sklearn.datasets import load_digits

    train = [load_file(path) for path in sorted((data / "train").iterdir())]
    test = load_file(data / "test" / "00000.safetensors")
    assert len(train) == 16
    assert {len(shard["labels"]) for shard in train} == {89, 90}
    assert len(test["labels"]) == 360
    for shard in (*train, test):
        assert shard["images"].dtype == numpy.float32
        assert shard["images"].shape == (len(shard["labels"]), 64)
        assert shard["labels"].dtype == numpy.int64
    counts = numpy.bincount(test["labels"])
    assert (counts >= 34).all() and (counts <= 37).all()
    images = numpy.concatenate([shard["images"] for shard in (*train, test)])
    assert (images.min(), images.max()) == (0.0, 1.0)
    known = load_digits().data / 16
    assert sorted(map(tuple, images.tolist())) == sorted(map(tuple, known.tolist()))


def test_preparing_again_does_nothing_and_mends_what_is_damaged(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    contents = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    damaged = tmp_path / "train" / "00003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (tmp_path / "test" / "00000.safetensors").unlink()
    second = prepare(tmp_path)
    third = prepare(tmp_path)
    assert [each["files_written"] for each in (first, second, third)] == [17, 2, 0]
    assert third["files_already_there"] == 17
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == contents


# --- training ---


def test_twelve_windows_read_97_percent_of_unseen_digits(digits: Caller, data: Path) -> None:
    model = new_model(digits)
    untrained = digits.ok("evaluate", model_id=model, split="Test")["metrics"]
    assert untrained["accuracy"] < 0.3
    assert untrained["examples"] == 360
    losses = []
    for _ in range(12):
        metrics = digits.ok("train_window", model_id=model, batches=batches(data))["metrics"]
        losses.append(metrics["loss"])
        assert metrics["examples_processed"] == 1437 * 4
    assert losses[-1] < losses[0] / 10
    trained = digits.ok("evaluate", model_id=model, split="Validation")["metrics"]
    assert trained["accuracy"] >= 0.97
    assert trained["loss"] < 0.15
    assert digits.ok("evaluate", model_id=model, split="Train")["metrics"]["accuracy"] > 0.99


def test_training_is_reproducible_to_the_bit(digits: Caller, data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        model = new_model(digits)
        for _ in range(2):
            digits.ok("train_window", model_id=model, batches=batches(data))
        digits.ok("materialize_model_artifact", model_id=model, artifact_path=str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_window_without_shards_trains_nothing(digits: Caller) -> None:
    model = new_model(digits)
    before = weights_of(digits, model)
    answer = digits.ok("train_window", model_id=model, batches=[])
    assert answer == {"metrics": {"examples_processed": 0}}
    assert all(before[n].equal(t) for n, t in weights_of(digits, model).items())


def test_evaluating_leaves_the_model_as_it_was(digits: Caller) -> None:
    model = new_model(digits)
    before = weights_of(digits, model)
    digits.ok("evaluate", model_id=model, split="Test")
    assert all(before[n].equal(t) for n, t in weights_of(digits, model).items())


def test_a_split_without_data_a_strange_batch_and_a_strange_device_are_refused(
    digits: Caller,
) -> None:
    model = new_model(digits)
    failure = digits.failure("evaluate", model_id=model, split={"Custom": "held-out"})
    assert "no data for the split {'Custom': 'held-out'}" in failure["message"]
    batch = {"kind": "micro_epoch"}
    failure = digits.failure("train_window", model_id=model, batches=[batch])
    assert failure["message"] == "ValueError: cannot train on batches of kind 'micro_epoch'"
    failure = digits.failure("init_model", device="abacus")
    assert "unknown device 'abacus'" in failure["message"]


def test_a_folder_without_shards_is_told_with_the_remedy(example: Any, tmp_path: Path) -> None:
    workload = example.create_workload({"test_root": str(tmp_path)})
    state = workload.init_model("python-torch-cpu")
    with pytest.raises(
        FileNotFoundError, match=r"no shards for Test in .*; put \*\.safetensors there"
    ):
        workload.evaluate(state, "Test")


def test_an_unknown_key_of_the_config_is_refused(example: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'learning_rte'"):
        example.create_workload({"learning_rte": 0.1})


def test_the_capability_is_measured(digits: Caller) -> None:
    probed = digits.ok("capability_probe")
    assert probed["runtime_device"] == "python-torch-cpu"
    assert probed["capability"]["preferred_backends"] == ["python-torch-cpu"]
    assert 1 < probed["capability"]["work_units_per_second"] < 1e6


# --- artifacts ---


def test_weights_survive_the_way_through_a_file(digits: Caller, data: Path, tmp_path: Path) -> None:
    trained, other = new_model(digits), new_model(digits)
    digits.ok("train_window", model_id=trained, batches=batches(data))
    path = str(tmp_path / "artifact.safetensors")
    digits.ok("materialize_model_artifact", model_id=trained, artifact_path=path)
    digits.ok("load_model_artifact", model_id=other, artifact_path=path)
    os.unlink(path)
    expected = digits.ok("evaluate", model_id=trained, split="Test")
    assert digits.ok("evaluate", model_id=other, split="Test") == expected


LIES = ["one weight less", "one weight more", "another shape", "another dtype", "a NaN", "no file"]


@pytest.mark.parametrize("lie", LIES)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(
    digits: Caller, tmp_path: Path, lie: str
) -> None:
    import torch
    from safetensors.torch import save_file

    model = new_model(digits)
    before = weights_of(digits, model)
    tensors = {name: torch.ones_like(tensor) for name, tensor in before.items()}
    bias = tensors["2.bias"]
    if lie == "one weight less":
        del tensors["2.bias"]
    elif lie == "one weight more":
        tensors["4.bias"] = bias.clone()
    elif lie == "another shape":
        tensors["2.bias"] = torch.ones(11)
    elif lie == "another dtype":
        tensors["2.bias"] = bias.double()
    elif lie == "a NaN":
        bias[3] = math.nan
    path = tmp_path / "artifact.safetensors"
    save_file(tensors, path)
    if lie == "no file":
        path.write_bytes(b"not safetensors")
    failure = digits.failure("load_model_artifact", model_id=model, artifact_path=str(path))
    assert failure["code"] == "ERR_HOOK_RAISED"
    assert all(before[n].equal(t) for n, t in weights_of(digits, model).items())


# --- many models become one ---


def merge(digits: Caller, policy: object, *peers: tuple[float, float, float]) -> Any:
    """Merge peers, each (value of all weights, sample weight, quality), over a base of 1."""
    base = new_model(digits)
    fill(digits, base, 1.0)
    candidates = []
    for value, sample, quality in peers:
        model = new_model(digits)
        fill(digits, model, value)
        candidates.append(
            {
                "peer_id": f"peer-{value}",
                "head_id": "h",
                "artifact_id": "a",
                "model_id": model,
                "sample_weight": sample,
                "quality_weight": quality,
            }
        )
    return host.dispatch(
        digits.session,
        "merge_candidate_models",
        {"base_model_id": base, "candidates": candidates, "policy": policy},
    )


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ("QualityWeightedEma", 1 + (1 * 2.0 * 2 + 3 * 0.25 * 8) / (2.0 * 2 + 0.25 * 8)),
        ("WeightedMean", 1 + (1 * 2 + 3 * 8) / 10),
        ("NormClippedWeightedMean", 1 + (1 * 1.0 * 2 + 3 * 0.25 * 8) / (1.0 * 2 + 0.25 * 8)),
    ],
)
def test_a_merge_is_the_weighted_mean_of_the_moves_from_the_base(
    digits: Caller, policy: str, value: float
) -> None:
    answered, merged = merge(digits, policy, (2.0, 2.0, 2.0), (4.0, 8.0, 0.25))
    assert answered, merged
    assert only_value(digits, merged["model_id"]) == pytest.approx(value, rel=1e-6)


def test_a_merge_of_nothing_is_none_and_of_no_weight_is_the_base(digits: Caller) -> None:
    assert merge(digits, "WeightedMean") == (True, {"model_id": None})
    answered, merged = merge(digits, "WeightedMean", (2.0, 0.0, 1.0))
    assert answered
    assert only_value(digits, merged["model_id"]) == 1.0


def test_a_peer_of_no_weight_spoils_no_merge_and_huge_weights_do_not_overflow(
    digits: Caller,
) -> None:
    answered, merged = merge(
        digits, "WeightedMean", (math.nan, 0.0, 1.0), (2.0, 1e308, 1.0), (4.0, 1e308, 1.0)
    )
    assert answered, merged
    assert only_value(digits, merged["model_id"]) == 3.0


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_peer_with_a_senseless_weight_is_named(digits: Caller, weight: float) -> None:
    answered, failure = merge(digits, "WeightedMean", (2.0, 1.0, 1.0), (3.0, weight, 1.0))
    assert not answered
    assert f"peer 'peer-3.0' has the merge weight {weight}" in failure["message"]


def test_root_ema_keeps_a_quarter_of_the_base(digits: Caller) -> None:
    base, merged = new_model(digits), new_model(digits)
    fill(digits, base, 4.0)
    fill(digits, merged, 8.0)
    answer = digits.ok(
        "apply_single_root_ema",
        base_model_id=base,
        merged_model_id=merged,
        policy="QualityWeightedEma",
    )
    assert answer == {"model_id": merged}
    assert (only_value(digits, merged), only_value(digits, base)) == (7.0, 4.0)


def test_reconciling_replaces_or_mixes_and_then_carries_the_optimizer_on(
    digits: Caller, data: Path
) -> None:
    local = new_model(digits)
    digits.ok("train_window", model_id=local, batches=batches(data, slice(1)))
    fill(digits, local, 4.0)
    results = []
    for strategy in ("Replace", {"RootEma": {"canonical_weight": 0.25}}):
        canonical = new_model(digits)
        fill(digits, canonical, 8.0)
        digits.ok(
            "reconcile_canonical_model",
            local_model_id=local,
            canonical_model_id=canonical,
            strategy=strategy,
        )
        moments = state_of(digits, canonical)["optimizer"].state_dict()["state"]
        results.append((only_value(digits, canonical), len(moments)))
        digits.ok("train_window", model_id=canonical, batches=batches(data, slice(1)))
    assert results == [(8.0, 0), (5.0, 4)]


def test_an_unknown_strategy_is_refused(digits: Caller) -> None:
    model = new_model(digits)
    failure = digits.failure(
        "reconcile_canonical_model",
        local_model_id=model,
        canonical_model_id=model,
        strategy="Perhaps",
    )
    assert "unknown strategy 'Perhaps'" in failure["message"]


# --- patches ---


def patch(values: dict[str, object]) -> dict[str, object]:
    return {
        "patch_id": "p",
        "class": "Hot",
        "summary": "s",
        "values": values,
        "required_client_capabilities": [],
    }


def test_a_patched_learning_rate_holds_from_the_next_window(digits: Caller, data: Path) -> None:
    model = new_model(digits)
    assert digits.ok("apply_patch", **patch({"learning_rate": 0.0002})) == "Applied"
    digits.ok("train_window", model_id=model, batches=batches(data, slice(1)))
    groups = state_of(digits, model)["optimizer"].param_groups
    assert [group["lr"] for group in groups] == [0.0002]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"momentum": 0.9},
        {"learning_rate": 0.1, "momentum": 0.9},
        {"learning_rate": True},
        {"learning_rate": "0.1"},
        {"learning_rate": 0},
        {"learning_rate": -0.1},
        {"learning_rate": math.nan},
        {"learning_rate": {"Float": 0.0002}},
    ],
)
def test_any_other_patch_is_rejected_with_a_reason(
    digits: Caller, values: dict[str, object]
) -> None:
    assert list(digits.ok("apply_patch", **patch(values))) == ["Rejected"]


# --- independence ---


def test_the_config_points_at_what_prepare_writes_when_run_from_the_repository() -> None:
    config = json.loads((EXAMPLE / "config.json").read_text())
    repository = EXAMPLE.parents[1]
    prepared = repository / "out" / "digits" / "data"
    assert (EXAMPLE / config["dataset"]["root"]).resolve() == prepared / "train"
    settings = config["runtime"]["workload_config"]
    assert repository / settings["train_root"] == prepared / "train"
    assert repository / settings["test_root"] == prepared / "test"
