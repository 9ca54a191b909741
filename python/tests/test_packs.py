"""A model as one vector: the layouts and bits that a peer of the reference recorded."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from torchbed.workload import Module, pack_plan, pack_values, unpack_values

pytestmark = pytest.mark.torch

RECORDED = json.loads(
    (Path(__file__).parents[2] / "test/recorded/vectors/packs.json").read_text("utf-8")
)


def filled(module: Any) -> Any:
    """Give each floating-point tensor the values that the recording began with."""
    import torch

    at = 0
    with torch.no_grad():
        for _, tensor in sorted(module.state_dict().items()):
            if not tensor.is_floating_point():
                continue
            count = tensor.numel()
            angles = (torch.arange(count, dtype=torch.float64) + at) * 0.37
            tensor.copy_((angles.sin() * 2.5).reshape(tensor.shape).to(tensor.dtype))
            at += count
    return module


def build(case: str) -> Any:
    import torch
    from torch import nn

    module = nn.Module()
    if case == "mlp":
        return filled(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    if case == "batchnorm":
        return filled(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
    if case == "tied":
        module.emb = nn.Embedding(5, 3)
        module.out = nn.Linear(3, 5, bias=False)
        module.out.weight = module.emb.weight
        return filled(module)
    if case == "mixed":
        module.a = nn.Parameter(torch.zeros(3, dtype=torch.bfloat16))
        module.b = nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
        module.c = nn.Parameter(torch.zeros((), dtype=torch.float16))
        module.register_buffer("i", torch.arange(4))
        module.register_buffer("f", torch.zeros(2))
        module.register_buffer("t", torch.zeros(2), persistent=False)
        module.e = nn.Parameter(torch.zeros(0, 4))
        return filled(module)
    if case == "model":
        return {"model": filled(nn.Linear(2, 2)), "optimizer": None}
    if case == "modules":
        modules = {"enc": nn.Linear(2, 1), "Dec": nn.Linear(1, 2), "z9": nn.LayerNorm(2)}
        return {"modules": {name: filled(module) for name, module in modules.items()}}
    if case == "lstm":
        return filled(nn.LSTM(2, 3, num_layers=2, bidirectional=True))
    if case == "transformer":
        return filled(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True))
    assert case == "unicode"
    for name, size in (("größe", 2), ("Z", 1), ("a", 1), ("日本", 1)):
        module.register_parameter(name, nn.Parameter(torch.zeros(size)))
    return filled(module)


def bits(values: Any) -> list[int]:
    import torch

    return [bit & 0xFFFFFFFF for bit in values.view(torch.int32).tolist()]


def patterns(recorded: Any) -> dict[str, list[str]]:
    include, exclude = recorded["filter"] or ([], [])
    return {"include": include, "exclude": exclude}


HOLDING = [it for it in RECORDED if it["pack"]["parameter_count"] > 0]
EMPTY = [it for it in RECORDED if it["pack"]["parameter_count"] == 0]


def name_of(recorded: Any) -> str:
    return f"{recorded['case']}-{recorded['filter']}"


@pytest.mark.parametrize("recorded", HOLDING, ids=name_of)
def test_layout_and_bits_are_those_that_the_reference_exports(recorded: Any) -> None:
    state = build(recorded["case"])
    plan = pack_plan(state, **patterns(recorded))
    expected = recorded["plan"]
    assert plan.layout_hash == recorded["pack"]["layout_hash"] == expected["layout_hash"]
    for field in ("included_keys", "excluded_float_keys", "ignored_non_float_keys"):
        assert list(getattr(plan, field)) == expected[field]
    assert plan.parameter_count == expected["parameter_count"]
    assert bits(pack_values(state, **patterns(recorded))) == recorded["pack"]["values_bits"]


@pytest.mark.parametrize("recorded", HOLDING, ids=name_of)
def test_a_vector_taken_in_gives_the_same_vector_and_leaves_the_rest(recorded: Any) -> None:
    import torch

    state = build(recorded["case"])
    values = pack_values(state, **patterns(recorded))
    unpack_values(state, torch.zeros_like(values), **patterns(recorded))
    assert not pack_values(state, **patterns(recorded)).any()
    unpack_values(state, values, **patterns(recorded))
    assert bits(pack_values(state)) == bits(pack_values(build(recorded["case"])))


@pytest.mark.parametrize("recorded", EMPTY, ids=name_of)
def test_patterns_that_leave_nothing_are_refused(recorded: Any) -> None:
    with pytest.raises(ValueError, match=r"no floating-point elements .* leave out \['0.bias'"):
        pack_values(build(recorded["case"]), **patterns(recorded))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_vector_that_is_not_finite_changes_nothing(value: float) -> None:
    import torch

    state = build("mlp")
    before = pack_values(state)
    bad = torch.zeros(26)
    bad[17] = value
    with pytest.raises(ValueError, match=r"at index 17"):
        unpack_values(state, bad)
    assert bits(pack_values(state)) == bits(before)


def test_vectors_of_another_length_or_dtype_and_foreign_states_are_refused() -> None:
    import torch

    with pytest.raises(ValueError, match=r"float32 \[25\], and the model takes .* \[26\]"):
        unpack_values(build("mlp"), torch.zeros(25))
    with pytest.raises(ValueError, match=r"float64 \[26\]"):
        unpack_values(build("mlp"), torch.zeros(26, dtype=torch.float64))
    with pytest.raises(TypeError, match="a state of type list"):
        pack_values([build("mlp")])
    with pytest.raises(ValueError, match="no pattern"):
        pack_plan(build("mlp"), exclude=[" "])


def test_a_module_workload_gives_and_takes_its_vector_and_keeps_its_optimizer() -> None:
    import torch
    from torch import nn

    workload = Module(
        lambda: nn.Linear(2, 1),
        lambda model, rows: model(rows["x"]).square().mean(),
        lambda weights: torch.optim.AdamW(weights, lr=0.1),
        device="python-torch-cpu",
        examples=lambda count: {"x": torch.ones(count, 2)},
    )
    state = workload.init_model("python-torch-cpu")
    base = workload.parameter_pack(state)
    workload.train_window(state, [{"kind": "micro_epoch", "payload": 8}])
    optimizer = state["optimizer"]
    assert optimizer.state
    assert bits(workload.parameter_pack(state)) != bits(base)
    workload.load_parameter_pack(state, base)
    assert bits(workload.parameter_pack(state)) == bits(base)
    assert state["optimizer"] is optimizer
    assert base[0].item() == state["model"].get_parameter("bias").item()
