"""Every method of spec worker-protocol#methods, and the hooks it calls (hooks#the-hooks)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Caller

Open = Callable[..., Caller]


def test_hello_answers_protocol_1_the_class_name_and_no_capabilities(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    assert caller.ok("hello") == {
        "protocol_version": 1,
        "workload_name": "Whole",
        "capabilities": [],
    }


def test_hello_prefers_the_attribute_workload_name(open_workload: Open) -> None:
    caller = open_workload("class W: workload_name = 'digits'")
    assert caller.ok("hello")["workload_name"] == "digits"


def test_capability_probe_joins_two_hooks(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    assert caller.ok("capability_probe") == {
        "runtime_device": "python-torch-cpu",
        "capability": {
            "preferred_backends": ["python-torch-cpu"],
            "work_units_per_second": 12.5,
            "target_window_seconds": 30,
        },
    }


def test_capability_probe_drops_unknown_keys_and_makes_an_int_speed_a_float(
    open_workload: Open,
) -> None:
    caller = open_workload("""
        class W:
            def capability_probe(self):
                return {"preferred_backends": (), "work_units_per_second": 3,
                        "target_window_seconds": 0, "gpu": "none"}
    """)
    capability = caller.ok("capability_probe")["capability"]
    assert capability == {
        "preferred_backends": [],
        "work_units_per_second": 3.0,
        "target_window_seconds": 0,
    }
    assert type(capability["work_units_per_second"]) is float


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        ("None", "a dict"),
        ("{}", "preferred_backends"),
        ("{**GOOD, 'preferred_backends': 'cpu'}", "preferred_backends"),
        ("{**GOOD, 'preferred_backends': [1]}", "preferred_backends"),
        ("{**GOOD, 'work_units_per_second': float('nan')}", "work_units_per_second"),
        ("{**GOOD, 'work_units_per_second': -1.0}", "work_units_per_second"),
        ("{**GOOD, 'work_units_per_second': True}", "work_units_per_second"),
        ("{**GOOD, 'work_units_per_second': '3'}", "work_units_per_second"),
        ("{**GOOD, 'target_window_seconds': 1.5}", "target_window_seconds"),
        ("{**GOOD, 'target_window_seconds': -1}", "target_window_seconds"),
        ("{**GOOD, 'target_window_seconds': 2**64}", "target_window_seconds"),
    ],
)
def test_a_malformed_capability_is_a_protocol_error_that_names_the_field(
    open_workload: Open, returned: str, named: str
) -> None:
    caller = open_workload(f"""
        GOOD = {{"preferred_backends": [], "work_units_per_second": 1.0,
                 "target_window_seconds": 1}}
        class W:
            def capability_probe(self): return {returned}
    """)
    failure = caller.failure("capability_probe")
    assert failure["code"] == "ERR_PROTOCOL"
    assert named in failure["message"]


def test_a_runtime_device_that_is_no_str_is_a_protocol_error(open_workload: Open) -> None:
    caller = open_workload("""
        class W:
            def runtime_device(self): return 3
    """)
    assert caller.failure("capability_probe")["message"] == (
        "runtime_device must return a str, got 3"
    )


def test_init_model_numbers_models_from_m1_in_the_order_of_their_making(
    open_workload: Open,
) -> None:
    caller = open_workload("class W: pass")
    assert [caller.new_model() for _ in range(3)] == ["m1", "m2", "m3"]


def test_model_ids_are_not_used_again_after_a_release(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    caller.new_model()
    assert caller.ok("release_model", model_id="m1") == {"ok": True}
    assert caller.new_model() == "m2"


def test_two_workloads_number_their_models_apart(open_workload: Open) -> None:
    first = open_workload("class W: pass")
    second = open_workload("class W: pass")
    assert (first.new_model(), second.new_model()) == ("m1", "m1")
    first.ok("release_model", model_id="m1")
    assert second.ok("evaluate", model_id="m1", split="Test") == {"metrics": {}}


def test_init_model_that_forgets_to_return_the_state_is_a_protocol_error(
    open_workload: Open,
) -> None:
    caller = open_workload("""
        class W:
            def init_model(self, device): pass
    """)
    failure = caller.failure("init_model", device="cpu")
    assert failure["code"] == "ERR_PROTOCOL"
    assert failure["message"] == "init_model must return the new state, got None"


def test_train_window_gets_the_state_and_the_batches_and_its_metrics_come_back(
    open_workload: Open,
) -> None:
    caller = open_workload("""
        class W:
            def train_window(self, state, batches):
                state["weights"][0] += len(batches)
                return {"loss": 0.5, "kind": batches[0]["kind"], "device": state["device"]}
            def evaluate(self, state, split): return {"weight": state["weights"][0]}
    """)
    model = caller.new_model()
    batch = {
        "kind": "cached_microshard_group",
        "shard_paths": ["a"],
        "microshard_ids": ["i"],
        "ordinals": [0],
        "bytes_len": 3,
    }
    assert caller.ok("train_window", model_id=model, batches=[batch, batch]) == {
        "metrics": {"loss": 0.5, "kind": "cached_microshard_group", "device": "cpu"}
    }
    assert caller.ok("evaluate", model_id=model, split="Train")["metrics"] == {"weight": 2.0}


@pytest.mark.parametrize("split", ["Train", "Validation", "Test", {"Custom": "held-out"}])
def test_evaluate_gets_the_split_as_it_is(open_workload: Open, split: object) -> None:
    caller = open_workload("""
        class W:
            def evaluate(self, state, split): return {"split": repr(split)}
    """)
    result = caller.ok("evaluate", model_id=caller.new_model(), split=split)
    assert result == {"metrics": {"split": repr(split)}}


def test_release_model_is_harmless_for_an_unknown_id(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    assert caller.ok("release_model", model_id="m77") == {"ok": True}
    assert caller.ok("release_model", model_id="../m1") == {"ok": True}


def test_shutdown_answers_ok_and_drops_the_models(open_workload: Open) -> None:
    caller = open_workload("class W: pass")
    model = caller.new_model()
    assert caller.ok("shutdown") == {"ok": True}
    failure = caller.failure("evaluate", model_id=model, split="Test")
    assert failure["code"] == "ERR_UNKNOWN_MODEL"


# --- patches ---

PATCH: dict[str, Any] = {
    "patch_id": "p",
    "class": "Hot",
    "summary": "lr",
    "values": {"learning_rate": 0.0002},
    "required_client_capabilities": [],
}


def test_a_workload_without_apply_patch_rejects_with_the_texts_of_the_spec(
    open_workload: Open,
) -> None:
    caller = open_workload("class W: pass")
    assert caller.ok("apply_patch", **PATCH) == {
        "Rejected": "python workload does not support runtime patches"
    }


@pytest.mark.parametrize("outcome", ["Applied", "RequiresRestart", {"Rejected": "too high"}])
def test_apply_patch_gets_the_patch_itself_and_its_outcome_comes_back(
    open_workload: Open, outcome: object
) -> None:
    caller = open_workload(f"""
        class W:
            def apply_patch(self, patch):
                assert patch == {PATCH!r}, patch
                return {outcome!r}
    """)
    assert caller.ok("apply_patch", **PATCH) == outcome


@pytest.mark.parametrize("outcome", ["None", "'applied'", "{'Rejected': 3}", "True", "{}"])
def test_any_other_patch_outcome_is_a_protocol_error(open_workload: Open, outcome: str) -> None:
    caller = open_workload(f"""
        class W:
            def apply_patch(self, patch): return {outcome}
    """)
    failure = caller.failure("apply_patch", **PATCH)
    assert failure["code"] == "ERR_PROTOCOL"
    assert failure["message"].endswith(f"got {eval(outcome)!r}")


# --- artifacts ---


def test_artifacts_go_through_the_path_hooks_when_there_are_both(
    open_workload: Open, tmp_path: Path
) -> None:
    caller = open_workload("""
        from pathlib import Path
        class W:
            def materialize_model_artifact_path(self, state, path): Path(path).write_text("path")
            def materialize_model_artifact(self, state): raise AssertionError
            def load_model_artifact_path(self, state, path): state["got"] = Path(path).read_text()
            def load_model_artifact(self, state, data): raise AssertionError
            def evaluate(self, state, split): return {"got": state["got"]}
    """)
    model = caller.new_model()
    path = str(tmp_path / "artifact.safetensors")
    assert caller.ok("materialize_model_artifact", model_id=model, artifact_path=path) == {
        "ok": True
    }
    assert caller.ok("load_model_artifact", model_id=model, artifact_path=path) == {"ok": True}
    assert caller.ok("evaluate", model_id=model, split="Test")["metrics"] == {"got": "path"}


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview"])
def test_artifacts_go_through_the_bytes_hooks_otherwise(
    open_workload: Open, tmp_path: Path, kind: str
) -> None:
    caller = open_workload(f"""
        class W:
            def materialize_model_artifact(self, state): return {kind}(b"\\x00whole\\xff")
            def load_model_artifact(self, state, data):
                assert type(data) is bytes
                return {{"replaced": data}}
            def evaluate(self, state, split): return {{"got": repr(state["replaced"])}}
    """)
    model = caller.new_model()
    path = tmp_path / "artifact.safetensors"
    path.write_text("older and longer content")
    caller.ok("materialize_model_artifact", model_id=model, artifact_path=str(path))
    assert path.read_bytes() == b"\x00whole\xff"
    assert list(tmp_path.glob(".*")) == []
    caller.ok("load_model_artifact", model_id=model, artifact_path=str(path))
    metrics = caller.ok("evaluate", model_id=model, split="Test")["metrics"]
    assert metrics == {"got": repr(b"\x00whole\xff")}


@pytest.mark.parametrize(
    ("view", "content"),
    [
        ("memoryview(b'abcdef')[::2]", b"ace"),
        ("memoryview(b'abc')[::-1]", b"cba"),
        ("memoryview(array.array('f'))", b""),
    ],
)
def test_materialised_views_with_gaps_and_empty_ones_are_written_whole(
    open_workload: Open, tmp_path: Path, view: str, content: bytes
) -> None:
    caller = open_workload(f"""
        import array
        class W:
            def materialize_model_artifact(self, state): return {view}
    """)
    model = caller.new_model()
    path = tmp_path / "a"
    caller.ok("materialize_model_artifact", model_id=model, artifact_path=str(path))
    assert path.read_bytes() == content
    assert caller.ok("plan_model_memory", model_id=model) == {"total_bytes": len(content)}
    memory = bytearray(len(content))
    caller.ok("fill_model_memory", model_id=model, artifact=memory)
    assert memory == content


def test_materialised_bytes_that_are_none_are_a_protocol_error_and_no_file_appears(
    open_workload: Open, tmp_path: Path
) -> None:
    caller = open_workload("""
        class W:
            def materialize_model_artifact(self, state): pass
    """)
    path = tmp_path / "a"
    failure = caller.failure(
        "materialize_model_artifact", model_id=caller.new_model(), artifact_path=str(path)
    )
    assert failure["message"] == "materialize_model_artifact must return bytes, got None"
    assert not path.exists()


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(
    open_workload: Open, tmp_path: Path
) -> None:
    caller = open_workload("""
        class W:
            def materialize_model_artifact(self, state): return b"new"
    """)
    target = tmp_path / "occupied"
    target.mkdir()
    (target / "file").write_text("old")
    failure = caller.failure(
        "materialize_model_artifact", model_id=caller.new_model(), artifact_path=str(target)
    )
    assert failure["code"] == "ERR_HOOK_RAISED"
    assert failure["python_type"] in ("IsADirectoryError", "OSError", "PermissionError")
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.glob(".*")) == []


def test_an_artifact_that_is_not_there_is_told_like_a_path_hooks_own_failure(
    open_workload: Open, tmp_path: Path
) -> None:
    caller = open_workload("""
        class W:
            def load_model_artifact(self, state, data): pass
    """)
    failure = caller.failure(
        "load_model_artifact", model_id=caller.new_model(), artifact_path=str(tmp_path / "gone")
    )
    assert failure["code"] == "ERR_HOOK_RAISED"
    assert failure["python_type"] == "FileNotFoundError"


def test_loading_that_returns_none_keeps_the_state_and_else_replaces_it(
    open_workload: Open, tmp_path: Path
) -> None:
    caller = open_workload("""
        class W:
            def load_model_artifact_path(self, state, path):
                return None if path.endswith("in-place") else {"name": "replacement"}
            def init_model(self, device): return {"name": "first"}
            def evaluate(self, state, split): return state
    """)
    model = caller.new_model()
    names = []
    for path in ("in-place", "other"):
        caller.ok("load_model_artifact", model_id=model, artifact_path=path)
        names.append(caller.ok("evaluate", model_id=model, split="Test")["metrics"]["name"])
    assert names == ["first", "replacement"]


# --- merging ---

MERGING = """
    class W:
        def init_model(self, device): return {"name": device}
        def evaluate(self, state, split): return state
        def merge_candidate_models(self, base, candidates, policy):
            if policy == "TrimmedMean":
                return None
            told = [(c["peer_id"], c["head_id"], c["artifact_id"], c["model"]["name"],
                     c["sample_weight"], c["quality_weight"]) for c in candidates]
            assert all("model_id" not in c for c in candidates)
            return {"name": f"{base['name']} {told} {policy}"}
        def apply_single_root_ema(self, base, merged, policy):
            if policy != "QualityWeightedEma":
                merged["name"] += " in place"
                return None
            return {"name": f"ema({base['name']}, {merged['name']})"}
        def reconcile_canonical_model(self, local, canonical, strategy):
            return {"name": f"{local['name']}+{canonical['name']} {strategy}"}
"""


def named(caller: Caller, model: str) -> str:
    return str(caller.ok("evaluate", model_id=model, split="Test")["metrics"]["name"])


def candidate(model: str) -> dict[str, object]:
    return {
        "peer_id": "p",
        "head_id": "h",
        "artifact_id": "a",
        "model_id": model,
        "sample_weight": 64.0,
        "quality_weight": 0.5,
    }


def test_merging_hands_over_states_and_returns_a_new_model(open_workload: Open) -> None:
    caller = open_workload(MERGING)
    base, other = (caller.ok("init_model", device=d)["model_id"] for d in ("base", "other"))
    merged = caller.ok(
        "merge_candidate_models",
        base_model_id=base,
        candidates=[candidate(other)],
        policy="WeightedMean",
    )
    assert merged == {"model_id": "m3"}
    assert named(caller, "m3") == "base [('p', 'h', 'a', 'other', 64.0, 0.5)] WeightedMean"


def test_a_merge_that_returns_none_makes_no_model(open_workload: Open) -> None:
    caller = open_workload(MERGING)
    base = caller.new_model()
    merged = caller.ok(
        "merge_candidate_models", base_model_id=base, candidates=[], policy="TrimmedMean"
    )
    assert merged == {"model_id": None}
    assert caller.new_model() == "m2"


@pytest.mark.parametrize(
    ("policy", "name"),
    [("QualityWeightedEma", "ema(base, merged)"), ({"Custom": "x"}, "merged in place")],
)
def test_root_ema_keeps_the_merged_models_id(
    open_workload: Open, policy: object, name: str
) -> None:
    caller = open_workload(MERGING)
    base, merged = (caller.ok("init_model", device=d)["model_id"] for d in ("base", "merged"))
    answer = caller.ok(
        "apply_single_root_ema", base_model_id=base, merged_model_id=merged, policy=policy
    )
    assert answer == {"model_id": merged}
    assert named(caller, merged) == name
    assert named(caller, base) == "base"


@pytest.mark.parametrize("strategy", ["Replace", {"RootEma": {"canonical_weight": 0.25}}])
def test_reconciling_keeps_the_canonical_models_id(open_workload: Open, strategy: object) -> None:
    caller = open_workload(MERGING)
    local, canonical = (caller.ok("init_model", device=d)["model_id"] for d in ("l", "c"))
    answer = caller.ok(
        "reconcile_canonical_model",
        local_model_id=local,
        canonical_model_id=canonical,
        strategy=strategy,
    )
    assert answer == {"model_id": canonical}
    assert named(caller, canonical) == f"l+c {strategy}"


def test_a_candidate_that_names_an_unknown_model_fails_before_the_hook_runs(
    open_workload: Open,
) -> None:
    caller = open_workload("""
        class W:
            def merge_candidate_models(self, base, candidates, policy): raise AssertionError
    """)
    failure = caller.failure(
        "merge_candidate_models",
        base_model_id=caller.new_model(),
        candidates=[candidate("m9")],
        policy="WeightedMean",
    )
    assert failure["code"] == "ERR_UNKNOWN_MODEL"


# --- names, ids and parameters that are not as they should be ---


@pytest.mark.parametrize("method", ["", "nope", "_hello", "__init__", "close", "undo", "call"])
def test_an_unknown_method_is_refused_by_name(open_workload: Open, method: str) -> None:
    caller = open_workload("class W: pass")
    failure = caller.failure(method)
    assert failure["code"] == "ERR_UNKNOWN_METHOD"
    assert failure["message"] == f"unknown method {method!r}"


@pytest.mark.parametrize("model_id", ["m2", "1", "", "M1", "m01", "m1\0"])
def test_an_unknown_model_is_refused_by_id(open_workload: Open, model_id: str) -> None:
    caller = open_workload("class W: pass")
    caller.new_model()
    failure = caller.failure("train_window", model_id=model_id, batches=[])
    assert failure["code"] == "ERR_UNKNOWN_MODEL"
    assert repr(model_id) in failure["message"]


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("init_model", {}, "'device'"),
        ("init_model", {"device": 3}, "params.device"),
        ("train_window", {"model_id": 1, "batches": []}, "params.model_id"),
        ("train_window", {"model_id": "m1", "batches": {}}, "params.batches"),
        ("evaluate", {"model_id": "m1"}, "'split'"),
        ("load_model_artifact", {"model_id": "m1", "artifact_path": b"x"}, "params.artifact_path"),
        ("release_model", {}, "'model_id'"),
    ],
)
def test_malformed_parameters_are_a_protocol_error_that_names_them(
    open_workload: Open, method: str, params: dict[str, object], named: str
) -> None:
    caller = open_workload("class W: pass")
    caller.new_model()
    failure = caller.failure(method, **params)
    assert failure["code"] == "ERR_PROTOCOL"
    assert named in failure["message"]
    assert method in failure["message"]


@pytest.mark.parametrize(
    ("method", "params", "named"),
    [
        ("train_window", {"model_id": "m1", "batches": []}, "train_window"),
        (
            "load_model_artifact",
            {"model_id": "m1", "artifact_path": "p"},
            "neither load_model_artifact_path nor load_model_artifact;",
        ),
        (
            "materialize_model_artifact",
            {"model_id": "m1", "artifact_path": "p"},
            "neither materialize_model_artifact_path nor materialize_model_artifact;",
        ),
        (
            "merge_candidate_models",
            {"base_model_id": "m1", "candidates": [], "policy": "Ema"},
            "merge_candidate_models",
        ),
        (
            "apply_single_root_ema",
            {"base_model_id": "m1", "merged_model_id": "m1", "policy": "Ema"},
            "apply_single_root_ema",
        ),
        (
            "reconcile_canonical_model",
            {"local_model_id": "m1", "canonical_model_id": "m1", "strategy": "Replace"},
            "reconcile_canonical_model",
        ),
    ],
)
def test_a_missing_hook_is_named_with_the_workload(
    open_workload: Open, method: str, params: dict[str, object], named: str
) -> None:
    caller = open_workload("""
        class W:
            train_window = None
            workload_name = "digits"
    """)
    caller.new_model()
    failure = caller.failure(method, **params)
    assert failure["code"] == "ERR_HOOK_MISSING"
    assert failure["message"].startswith("python workload digits has n")
    assert named in failure["message"]
