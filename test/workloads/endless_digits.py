"""The digits example, with windows that train until somebody stops them: an `endless` batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import digits_workload
from torchbed.workload import Module


def create_workload(config: Mapping[str, Any]) -> Module:
    workload = digits_workload.create_workload(config)
    train_window = workload.train_window

    def endless(state: Any, batches: Sequence[Mapping[str, Any]]) -> Any:
        metrics = train_window(state, batches)
        while any(batch.get("endless") for batch in batches):
            metrics = train_window(state, batches)
        return metrics

    workload.train_window = endless  # type: ignore[method-assign]
    workload.workload_name = "endless-digits"
    return workload
