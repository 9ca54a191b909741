"""torchbed: PyTorch workloads that run inside a Node.js process.

A workload is any object that has the hooks described in `Workload`; it need not import this
package. What is here helps authors who want type checking, or who want to stop early:

    import torchbed

    class Digits:
        def train_window(self, state, batches):
            for batch in batches:
                if torchbed.should_stop():
                    break
                ...
"""

from ._host.batches import BatchResult
from ._host.callable_hooks import callable_hook
from ._host.cancelling import Cancelled, should_stop
from ._host.progressing import progress
from ._host.yielding import yield_point
from .workload import (
    AcceptsPatches,
    Batch,
    CachedMicroshardGroup,
    CapabilityEstimate,
    Custom,
    EvalSplit,
    ExchangesTensors,
    KeepsTrainingState,
    LoadsArtifactBytes,
    LoadsArtifactPath,
    MaterializesArtifactBytes,
    MaterializesArtifactPath,
    MemoryMicroshardGroup,
    MergeCandidate,
    MergePolicy,
    MergesModels,
    Metrics,
    MetricValue,
    MicroEpoch,
    PatchOutcome,
    ReconcilesModels,
    ReconcileStrategy,
    Rejected,
    RootEma,
    RuntimePatch,
    Workload,
)

__version__ = "0.1.0"

__all__ = [
    "AcceptsPatches",
    "Batch",
    "BatchResult",
    "CachedMicroshardGroup",
    "Cancelled",
    "CapabilityEstimate",
    "Custom",
    "EvalSplit",
    "ExchangesTensors",
    "KeepsTrainingState",
    "LoadsArtifactBytes",
    "LoadsArtifactPath",
    "MaterializesArtifactBytes",
    "MaterializesArtifactPath",
    "MemoryMicroshardGroup",
    "MergeCandidate",
    "MergePolicy",
    "MergesModels",
    "MetricValue",
    "Metrics",
    "MicroEpoch",
    "PatchOutcome",
    "ReconcileStrategy",
    "ReconcilesModels",
    "Rejected",
    "RootEma",
    "RuntimePatch",
    "Workload",
    "__version__",
    "callable_hook",
    "progress",
    "should_stop",
    "yield_point",
]
