"""A workload without torch whose peers have their own: momentum, and the position of a sampler.

Artifacts carry the weight alone: under RootEma a peer that loses the rest trains differently.
"""

import json
from typing import Any

from plain import Plain


class WithoutHooks(Plain):
    workload_name = "momentum"

    def init_model(self, device: str) -> dict[str, Any]:
        return {"weight": 1.0, "momentum": 0.0, "position": 0}

    def train_window(self, state: dict[str, Any], batches: list[dict[str, Any]]) -> Any:
        leased = sum(ordinal for batch in batches for ordinal in batch["ordinals"])
        for _ in range(10):
            state["position"] += 1
            gradient = state["weight"] - ((state["position"] * 7919 + leased) % 101) / 101
            state["momentum"] = 0.9 * state["momentum"] + gradient
            state["weight"] -= 0.01 * state["momentum"]
        return {"examples_processed": len(batches), "loss": abs(state["weight"])}

    def evaluate(self, state: dict[str, Any], split: Any) -> dict[str, Any]:
        return {"loss": abs(state["weight"])}

    def materialize_model_artifact_path(self, state: dict[str, Any], path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"weight": state["weight"]}, file)

    def merge_candidate_models(
        self, base: dict[str, Any], candidates: list[dict[str, Any]], policy: Any
    ) -> dict[str, Any]:
        weights = [candidate["model"]["weight"] for candidate in candidates]
        return {**base, "weight": sum(weights) / len(weights)}

    def apply_single_root_ema(
        self, base: dict[str, Any], merged: dict[str, Any], policy: Any
    ) -> None:
        merged["weight"] = 0.75 * merged["weight"] + 0.25 * base["weight"]

    def reconcile_canonical_model(
        self, local: dict[str, Any], canonical: dict[str, Any], strategy: Any
    ) -> None:
        if strategy == "Replace":
            return
        share = strategy["RootEma"]["canonical_weight"]
        canonical["weight"] = local["weight"] * (1 - share) + canonical["weight"] * share
        canonical["momentum"] = local["momentum"]
        canonical["position"] = local["position"]


class Momentum(WithoutHooks):
    def save_training_state(self, state: dict[str, Any], path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)

    def load_training_state(self, state: dict[str, Any], path: str) -> None:
        with open(path, encoding="utf-8") as file:
            state.update(json.load(file))


def create_workload(config: Any) -> Momentum:
    return Momentum(config)


def create_without_hooks(config: Any) -> WithoutHooks:
    return WithoutHooks(config)
