"""The workload of the Rust test peer in Python: its model, and its artifact, is a number as JSON.

What the Rust peer appends to make its artifacts large is ignored.
"""

import json
from typing import Any

TARGET = 1000.0


class Scalar:
    workload_name = "scalar"

    def __init__(self, config: dict[str, Any]) -> None:
        self.learning_rate = float(config.get("learning_rate", 1.0))

    def runtime_device(self) -> str:
        return "python-plain"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["cpu"],
            "work_units_per_second": 64.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> dict[str, float]:
        return {"model": 0.0}

    def _metrics(self, state: dict[str, float]) -> dict[str, float]:
        return {"loss": abs(TARGET - state["model"]), "model": state["model"]}

    def train_window(self, state: dict[str, float], batches: list[dict[str, Any]]) -> Any:
        samples = [4.0 + ordinal for batch in batches for ordinal in batch["ordinals"]]
        state["model"] += self.learning_rate * sum(samples) / max(1, len(samples))
        return self._metrics(state)

    def evaluate(self, state: dict[str, float], split: Any) -> dict[str, float]:
        return self._metrics(state)

    def load_model_artifact_path(self, state: dict[str, float], path: str) -> None:
        with open(path, "rb") as file:
            state["model"] = json.loads(file.readline())

    def materialize_model_artifact_path(self, state: dict[str, float], path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(state["model"]) + "\n")

    def merge_candidate_models(
        self, base: dict[str, float], candidates: list[dict[str, Any]], policy: Any
    ) -> dict[str, float]:
        weights = [one["sample_weight"] * one["quality_weight"] for one in candidates]
        models = [one["model"]["model"] for one in candidates]
        return {"model": sum(w * m for w, m in zip(weights, models, strict=True)) / sum(weights)}

    def apply_single_root_ema(
        self, base: dict[str, float], merged: dict[str, float], policy: Any
    ) -> None:
        """The Rust peer damps nothing."""


def create_workload(config: Any) -> Scalar:
    return Scalar(config or {})
