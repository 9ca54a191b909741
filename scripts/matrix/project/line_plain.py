"""Learns y = 2x + 1 in Python alone: for a Python that torch has no wheel for."""

import platform
import random
import sys
from typing import Any


class Line:
    def __init__(self, config: dict[str, Any]) -> None:
        self.rate = config["learning_rate"]

    def runtime_device(self) -> str:
        return "python-cpu"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["python-cpu"],
            "work_units_per_second": 100.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> dict[str, float]:
        return {"slope": 0.0, "offset": 0.0}

    def train_window(
        self, model: dict[str, float], batches: list[dict[str, Any]]
    ) -> dict[str, Any]:
        points = random.Random(1)
        examples = 0
        for batch in batches:
            xs = [points.uniform(-1, 1) for _ in range(batch["payload"]["examples"])]
            errors = [self.error(model, x) for x in xs]
            model["slope"] -= (
                self.rate * 2 * sum(e * x for e, x in zip(errors, xs, strict=True)) / len(xs)
            )
            model["offset"] -= self.rate * 2 * sum(errors) / len(xs)
            examples += len(xs)
        return {"examples_processed": examples}

    def evaluate(self, model: dict[str, float], split: Any) -> dict[str, Any]:
        xs = [i / 50 - 1 for i in range(101)]
        return {
            "loss": sum(self.error(model, x) ** 2 for x in xs) / len(xs),
            "python": platform.python_version(),
            "prefix": sys.prefix,
            "torch": "none",
        }

    def error(self, model: dict[str, float], x: float) -> float:
        return model["slope"] * x + model["offset"] - (2 * x + 1)
