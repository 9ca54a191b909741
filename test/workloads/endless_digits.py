"""The digits example, with windows that train until somebody stops them: an `endless` batch."""

from collections.abc import Mapping, Sequence
from typing import Any

from digits_workload import Config, DigitsWorkload, Metrics, State


class EndlessDigits(DigitsWorkload):
    workload_name = "endless-digits"

    def train_window(self, state: State, batches: Sequence[Mapping[str, Any]]) -> Metrics:
        metrics = super().train_window(state, batches)
        while any(batch.get("endless") for batch in batches):
            metrics = super().train_window(state, batches)
        return metrics


def create_workload(config: Mapping[str, Any]) -> EndlessDigits:
    return EndlessDigits(Config(**config))
