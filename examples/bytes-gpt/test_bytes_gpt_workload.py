"""examples/bytes-gpt: the model, and every hook of its workload, with real training."""
# ruff: noqa: D103 - the names of the tests are sentences

import importlib
import json
import math
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
gpt = importlib.import_module("bytes_gpt_model")
example = importlib.import_module("bytes_gpt_workload")

if TYPE_CHECKING:
    import bytes_gpt_workload
    import torchbed
    from bytes_gpt_workload import State

    # The type checker holds the example to the protocols.
    typed: torchbed.Workload[State] = bytes_gpt_workload.create_workload(None)
    loads: torchbed.LoadsArtifactPath[State] = bytes_gpt_workload.create_workload(None)
    writes: torchbed.MaterializesArtifactPath[State] = bytes_gpt_workload.create_workload(None)
    merges: torchbed.MergesModels[State] = bytes_gpt_workload.create_workload(None)
    reconciles: torchbed.ReconcilesModels[State] = bytes_gpt_workload.create_workload(None)

pytestmark = pytest.mark.torch

EXAMPLE = Path(__file__).parent
CPU = "python-torch-cpu"
SMALL = gpt.Shape(layers=2, heads=2, width=32, context=16)


def size(preset: str) -> int:
    model = gpt.BytesGpt(gpt.PRESETS[preset])
    return sum(weight.numel() for weight in model.parameters())


def awake(shape: Any = SMALL) -> Any:
    """Return a model whose every weight counts: fresh ones begin with projections of zero."""
    torch.manual_seed(1)
    model = gpt.BytesGpt(shape)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three training shards and a held-out one, of real source text."""
    library = Path(sysconfig.get_paths()["stdlib"])
    names = ["argparse.py", "typing.py", "dataclasses.py", "enum.py"]
    out = tmp_path_factory.mktemp("bytes")
    for number, name in enumerate(names):
        text = torch.tensor(list((library / name).read_bytes()), dtype=torch.uint8)
        folder = out / ("train" if number < 3 else "validation")
        folder.mkdir(exist_ok=True)
        safetensors.save_file({"bytes": text}, folder / f"{number}.safetensors")
    return out


def make(data: Path, **settings: object) -> Any:
    config = {
        "preset": "tiny",
        "train_root": str(data / "train"),
        "validation_root": str(data / "validation"),
        "learning_rate": 0.008,
        "minibatch": 16,
        "steps_per_window": 5,
        "sample_bytes": 0,
    }
    return example.create_workload(config | settings)


def batches(data: Path, shards: slice = slice(None)) -> list[dict[str, Any]]:
    paths = sorted(str(path) for path in (data / "train").glob("*.safetensors"))[shards]
    return [{"kind": "cached_microshard_group", "shard_paths": [path]} for path in paths]


def fill(state: Any, value: float) -> None:
    for tensor in example.weights(state).values():
        tensor.fill_(value)


def only_value(state: Any) -> float:
    """Return the value that all weights of a model have."""
    values = {float(v) for tensor in example.weights(state).values() for v in tensor.unique()}
    assert len(values) == 1, values
    return values.pop()


def copies(state: Any) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in example.weights(state).items()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


# --- the model ---


def test_the_default_preset_has_about_25_million_weights_and_the_tiny_one_under_a_million() -> None:
    assert example.Config().preset == "25m"
    assert size("25m") == 25_427_968
    assert size("tiny") == 131_072


def test_every_position_has_a_score_for_each_of_256_bytes() -> None:
    model = awake()
    for shape in ((3, 16), (1, 1)):
        logits = model(torch.zeros(shape, dtype=torch.int64))
        assert logits.shape == (*shape, 256)
        assert logits.dtype == torch.float32


def test_an_untrained_model_needs_8_bits_for_any_byte(data: Path) -> None:
    workload = make(data)
    metrics = workload.evaluate(workload.init_model(CPU), "Validation")
    assert metrics["bits_per_byte"] == pytest.approx(8.0, abs=1e-4)
    assert metrics["loss"] == pytest.approx(math.log(256), abs=1e-4)


def test_a_byte_changes_its_own_and_later_scores_and_no_earlier_ones() -> None:
    model = awake()
    text = torch.randint(256, (1, 16), generator=torch.Generator().manual_seed(3))
    before = model(text)
    for position in range(16):
        changed = text.clone()
        changed[0, position] = (changed[0, position] + 1) % 256
        moved = (model(changed) - before).abs().amax(dim=2)[0]  # [T]
        assert (moved[:position] < 1e-5).all()
        assert (moved[position:] > 1e-4).all()


def test_the_order_of_earlier_bytes_matters() -> None:
    model = awake()
    one = model(torch.tensor([[10, 20, 30, 40]]))[0, -1]
    other = model(torch.tensor([[20, 10, 30, 40]]))[0, -1]
    assert (one - other).abs().max() > 1e-3


def test_attention_sees_the_distance_of_two_positions_and_not_where_they_are() -> None:
    table = gpt.rotation_table(SMALL)  # [2, 16, 8]
    q, k = torch.randn(2, 16, generator=torch.Generator().manual_seed(5))

    def score(i: int, j: int) -> Any:
        turned = (gpt.rotate(x, table[:, at]) for x, at in ((q, i), (k, j)))
        return torch.dot(*turned)

    assert score(5, 2).item() == pytest.approx(score(12, 9).item(), abs=1e-5)
    assert abs((score(5, 2) - score(5, 3)).item()) > 1e-3


def test_what_a_model_writes_depends_on_the_seed_alone_and_may_exceed_the_context() -> None:
    model = awake()
    one, again, other = (model.generate(b"def ", 40, 1.0, seed) for seed in (1, 1, 2))
    assert len(one) == 40
    assert one == again != other


def test_text_from_a_model_cannot_control_a_terminal() -> None:
    assert gpt.readable(b"a\x1b[2J\r\n\xff\tb") == "a\ufffd[2J\ufffd\n\ufffd\ufffdb"


# --- training ---


def test_windows_teach_the_model_text_that_it_has_not_seen(data: Path) -> None:
    workload = make(data, steps_per_window=20)
    state = workload.init_model(CPU)
    curve = [workload.evaluate(state, "Validation")["bits_per_byte"]]
    for _ in range(3):
        metrics = workload.train_window(state, batches(data))
        assert metrics["examples_processed"] == 20 * 16
        assert metrics["tokens_processed"] == 20 * 16 * 64
        assert metrics["bits_per_byte"] == pytest.approx(metrics["loss"] / math.log(2))
        curve.append(workload.evaluate(state, "Validation")["bits_per_byte"])
    assert curve == sorted(curve, reverse=True)
    assert curve[-1] < 5.0
    assert workload.evaluate(state, "Test")["accuracy"] > 0.15
    assert workload.evaluate(state, "Train")["bits_per_byte"] < 5.0


def test_training_is_reproducible_to_the_bit(data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        workload = make(data)
        state = workload.init_model(CPU)
        for _ in range(2):
            workload.train_window(state, batches(data))
        workload.materialize_model_artifact_path(state, str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_learning_rate_rises_over_the_warm_up_and_stays(data: Path) -> None:
    workload = make(data, warmup_steps=8, steps_per_window=4)
    state = workload.init_model(CPU)
    rates = []
    for _ in range(3):
        workload.train_window(state, batches(data))
        rates.append(state["optimizer"].param_groups[0]["lr"])
    assert rates == [0.004, 0.008, 0.008]


def test_a_window_without_shards_trains_nothing(data: Path) -> None:
    workload = make(data)
    state = workload.init_model(CPU)
    before = copies(state)
    metrics = workload.train_window(state, [])
    assert metrics == {"examples_processed": 0, "tokens_processed": 0}
    assert same(before, copies(state))


def test_evaluating_twice_gives_the_same_and_leaves_the_model_as_it_was(data: Path) -> None:
    workload = make(data, sample_bytes=20, sample_prompt="class ")
    state = workload.init_model(CPU)
    workload.train_window(state, batches(data))
    before = copies(state)
    one, two = (workload.evaluate(state, "Validation") for _ in range(2))
    assert one == two
    assert one["sample"].startswith("class ") and len(one["sample"]) > len("class ")
    assert same(before, copies(state))
    workload.train_window(state, batches(data))  # nothing of the inference mode stays behind


def test_the_capability_is_a_measured_speed(data: Path) -> None:
    capability = make(data).capability_probe()
    assert capability["preferred_backends"] == [CPU]
    assert 1 < capability["work_units_per_second"] < math.inf


# --- what is refused ---


def test_a_config_that_cannot_be_is_refused_by_name_and_value() -> None:
    for config, complaint in (
        ({"learningrate": 1}, r"unknown keys in workload_config: \['learningrate'\]"),
        ({"preset": "huge"}, r"unknown preset 'huge'; known are \['25m', 'tiny'\]"),
        ({"minibatch": 0}, "minibatch must be at least 1, not 0"),
        ({"root_ema": 1.0}, "root_ema must be at least 0 and below 1, not 1.0"),
        ({"sample_prompt": ""}, "sample_prompt is empty"),
    ):
        with pytest.raises(ValueError, match=complaint):
            example.create_workload(config)


def test_a_strange_split_batch_and_device_are_refused(data: Path) -> None:
    workload = make(data)
    state = workload.init_model(CPU)
    with pytest.raises(ValueError, match=r"no data for the split \{'Custom': 'x'\}"):
        workload.evaluate(state, {"Custom": "x"})
    with pytest.raises(ValueError, match="cannot train on batches of kind 'micro_epoch'"):
        workload.train_window(state, [{"kind": "micro_epoch"}])
    with pytest.raises(ValueError, match="unknown device 'abacus'"):
        workload.init_model("abacus")


@pytest.mark.parametrize(
    ("tensors", "complaint"),
    [
        ({"text": [1, 2, 3]}, "a shard of text holds bytes, uint8"),
        ({"bytes": [[1] * 100] * 2}, "a shard of text holds bytes, uint8"),
        ({"bytes": [1] * 64}, "64 bytes of text are too few for sequences of 65 bytes"),
    ],
)
def test_a_shard_that_holds_no_text_or_too_little_is_refused(
    data: Path, tmp_path: Path, tensors: dict[str, Any], complaint: str
) -> None:
    path = str(tmp_path / "shard.safetensors")
    safetensors.save_file(
        {name: torch.tensor(values, dtype=torch.uint8) for name, values in tensors.items()}, path
    )
    workload = make(data)
    batch = {"kind": "cached_microshard_group", "shard_paths": [path]}
    with pytest.raises(ValueError, match=complaint):
        workload.train_window(workload.init_model(CPU), [batch])


def test_a_folder_without_shards_is_refused_with_a_remedy(data: Path, tmp_path: Path) -> None:
    workload = make(data, validation_root=str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"run examples/bytes-gpt/prepare_bytes\.py first"):
        workload.evaluate(workload.init_model(CPU), "Validation")


# --- artifacts ---


def test_an_artifact_brings_the_same_model_back(data: Path, tmp_path: Path) -> None:
    workload = make(data)
    trained, loaded = workload.init_model(CPU), workload.init_model(CPU)
    workload.train_window(trained, batches(data))
    path, again = str(tmp_path / "one"), str(tmp_path / "two")
    workload.materialize_model_artifact_path(trained, path)
    workload.load_model_artifact_path(loaded, path)
    assert same(copies(trained), copies(loaded))
    assert workload.evaluate(trained, "Test") == workload.evaluate(loaded, "Test")
    workload.materialize_model_artifact_path(loaded, again)
    assert Path(path).read_bytes() == Path(again).read_bytes()
    assert sum(t.numel() for t in safetensors.load_file(path).values()) == 131_072


@pytest.mark.parametrize("change", ["nan", "name", "shape", "dtype"])
def test_a_refused_artifact_changes_nothing(data: Path, tmp_path: Path, change: str) -> None:
    workload = make(data)
    state = workload.init_model(CPU)
    tensors = copies(workload.init_model(CPU))
    for tensor in tensors.values():
        tensor.fill_(1.0)
    if change == "nan":
        tensors["head.weight"][3, 4] = math.nan
    elif change == "name":
        tensors["head.weights"] = tensors.pop("head.weight")
    elif change == "shape":
        tensors["head.weight"] = tensors["head.weight"][:, :-1].contiguous()
    else:
        tensors["head.weight"] = tensors["head.weight"].to(torch.float64)
    path = str(tmp_path / "artifact.safetensors")
    safetensors.save_file(tensors, path)
    before = copies(state)
    with pytest.raises(ValueError, match="the artifact"):
        workload.load_model_artifact_path(state, path)
    assert same(before, copies(state))


def test_a_trained_artifact_continues_a_text_on_the_command_line(
    data: Path, tmp_path: Path
) -> None:
    workload = make(data)
    state = workload.init_model(CPU)
    path = str(tmp_path / "model.safetensors")
    workload.materialize_model_artifact_path(state, path)
    done = subprocess.run(
        [
            sys.executable,
            EXAMPLE / "continue_text.py",
            *(path, "--preset", "tiny", "--prompt", "import ", "--length", "20"),
        ],
        capture_output=True,
        encoding="utf8",
        env={"PYTHONUTF8": "1"},
        check=True,
        timeout=120,
    )
    written = state["model"].generate(b"import ", 20, 0.8, 7)
    assert done.stdout == gpt.readable(b"import " + written) + "\n"


# --- many models become one ---


def candidate(state: Any, samples: float, quality: float) -> dict[str, Any]:
    return {"peer_id": "p", "model": state, "sample_weight": samples, "quality_weight": quality}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("QualityWeightedEma", 3.0), ("WeightedMean", 4.0), ("NormClippedWeightedMean", 3.5)],
)
def test_a_merge_weighs_by_data_and_quality(data: Path, policy: str, expected: float) -> None:
    workload = make(data)
    base, one, two = (workload.init_model(CPU) for _ in range(3))
    for state, value in ((base, 1.0), (one, 2.0), (two, 6.0)):
        fill(state, value)
    # Shares of the second: 1 * 0.5 / 2, 1 / 2, and 1 * 0.6 / 1.6 where quality is cut off at 1.
    qualities = {"QualityWeightedEma": (1.5, 0.5), "NormClippedWeightedMean": (7.0, 0.6)}
    first, second = qualities.get(policy, (1.5, 0.5))
    merged = workload.merge_candidate_models(
        base, [candidate(one, 1.0, first), candidate(two, 1.0, second)], policy
    )
    assert only_value(merged) == pytest.approx(expected)
    assert (only_value(base), only_value(one), only_value(two)) == (1.0, 2.0, 6.0)


def test_without_candidates_there_is_no_merge_and_without_weight_the_base(data: Path) -> None:
    workload = make(data)
    base, one = workload.init_model(CPU), workload.init_model(CPU)
    fill(base, 1.0)
    assert workload.merge_candidate_models(base, [], "WeightedMean") is None
    merged = workload.merge_candidate_models(base, [candidate(one, 0.0, 1.0)], "WeightedMean")
    assert only_value(merged) == 1.0


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_nonsensical_weight_of_a_peer_is_refused(data: Path, weight: float) -> None:
    workload = make(data)
    base = workload.init_model(CPU)
    with pytest.raises(ValueError, match="peer 'p' has the merge weight"):
        workload.merge_candidate_models(base, [candidate(base, weight, 1.0)], "WeightedMean")


def test_the_root_ema_keeps_its_share_of_the_base(data: Path) -> None:
    for settings, expected in (({}, 7.0), ({"root_ema": 0.5}, 6.0), ({"root_ema": 0.0}, 8.0)):
        workload = make(data, **settings)
        base, merged = workload.init_model(CPU), workload.init_model(CPU)
        fill(base, 4.0)
        fill(merged, 8.0)
        assert workload.apply_single_root_ema(base, merged, "Ema") is None
        assert (only_value(base), only_value(merged)) == (4.0, expected)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("Replace", 8.0), ({"RootEma": {"canonical_weight": 0.25}}, 5.0)],
)
def test_reconciling_takes_the_canonical_weights_and_keeps_what_the_optimizer_has_learnt(
    data: Path, strategy: Any, expected: float
) -> None:
    workload = make(data)
    local, canonical = workload.init_model(CPU), workload.init_model(CPU)
    workload.train_window(local, batches(data))
    moments = local["optimizer"].state_dict()["state"][0]["exp_avg"].clone()
    fill(local, 4.0)
    fill(canonical, 8.0)
    workload.reconcile_canonical_model(local, canonical, strategy)
    assert only_value(canonical) == expected
    assert canonical["steps"] == 5
    assert canonical["optimizer"].state_dict()["state"][0]["exp_avg"].equal(moments)
    workload.train_window(canonical, batches(data))
    assert local["optimizer"].state_dict()["state"][0]["exp_avg"].equal(moments)
    assert only_value(local) == 4.0


def test_an_unknown_strategy_is_refused(data: Path) -> None:
    workload = make(data)
    state = workload.init_model(CPU)
    with pytest.raises(ValueError, match="unknown strategy 'Perhaps'"):
        workload.reconcile_canonical_model(state, state, "Perhaps")


# --- the files around it ---


@pytest.mark.parametrize(("name", "preset"), [("config.json", "tiny"), ("config-25m.json", "25m")])
def test_a_config_points_at_what_is_prepared_and_makes_its_preset(name: str, preset: str) -> None:
    config = json.loads((EXAMPLE / name).read_text())
    repository = EXAMPLE.parents[1]
    prepared = repository / "out" / "bytes-gpt" / "data"
    settings = config["runtime"]["workload_config"]
    assert (EXAMPLE / config["dataset"]["root"]).resolve() == prepared / "train"
    assert repository / settings["train_root"] == prepared / "train"
    assert repository / settings["validation_root"] == prepared / "validation"
    assert config["runtime"]["workload_factory"] == "bytes_gpt_workload:create_workload"
    assert example.create_workload(settings).shape == gpt.PRESETS[preset]
