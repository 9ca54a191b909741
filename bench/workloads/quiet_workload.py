"""Hooks that do nothing and return at once; nothing else is imported, torch least of all."""

from typing import Any


class Quiet:
    """The smallest workload."""

    def runtime_device(self) -> str:
        return "python-torch-cpu"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["cpu"],
            "work_units_per_second": 1.0,
            "target_window_seconds": 1,
        }

    def init_model(self, device: str) -> object:
        return {}

    def train_window(self, state: object, batches: list[Any]) -> dict[str, Any]:
        return {}

    def evaluate(self, state: object, split: Any) -> dict[str, Any]:
        return {}


def create_workload(config: object) -> Quiet:
    return Quiet()
