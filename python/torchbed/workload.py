"""What a workload is: the hooks that the host calls (spec hooks#the-hooks).

A workload is the object that the factory returns. The factory is named `module:attr`, is called
once with the workload's config, and may do slow things such as reading a dataset's index. No base
class and no import of this package is needed; the protocols here are for type checkers:

    class Digits(torchbed.Workload[State], torchbed.MergesModels[State]): ...

Rules that hold for every hook:

- **Thread.** Hooks run one at a time, always on the same thread, which is Python's main thread.
- **State.** What `init_model` returned is the state. The host keeps it, never looks inside, and
  hands it back; it drops its reference when the model is released.
- **async.** A hook may be `async def` or return any awaitable; all run on one event loop, which
  stands still between calls. Background tasks advance only while some hook is awaited.
- **Errors.** Raise whatever fits. The caller gets `ERR_HOOK_RAISED` with the type, the text and
  the traceback; SystemExit and KeyboardInterrupt do not end the process. After an error
  the host clears the traceback of the exception, so that its frames do not keep tensors alive.
- **Cancelling.** An aborted call raises `torchbed.Cancelled`, a KeyboardInterrupt, inside the hook;
  an async hook that is waiting gets asyncio.CancelledError. Clean up and let it go on: an async
  hook has a second for that. `torchbed.should_stop()` asks instead, so that a loop can end between
  two steps. The host keeps the state; it is as usable as the hook leaves it.
- **Modules.** The interpreter may hold other workloads. A module is imported once; two projects
  cannot both have a `workload.py`, and opening the second says so.
- **Metrics** are a dict of str to bool, int, float or str. Call `.item()` on tensors and on numpy
  scalars (numpy.float64 alone passes as it is). NaN and infinities pass.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

from ._host.merging import merge_weight as merge_weight
from ._host.merging import weighted_merge as weighted_merge

if TYPE_CHECKING:
    from ._workload.module import Module as Module
    from ._workload.packs import PackPlan as PackPlan
    from ._workload.packs import pack_plan as pack_plan
    from ._workload.packs import pack_values as pack_values
    from ._workload.packs import unpack_values as unpack_values

State = TypeVar("State")
StateIn = TypeVar("StateIn", contravariant=True)
T = TypeVar("T")

MaybeAwaitable: TypeAlias = T | Awaitable[T]
"""A hook's result, or an awaitable of it."""

MetricValue: TypeAlias = bool | int | float | str
Metrics: TypeAlias = Mapping[str, MetricValue]


class Custom(TypedDict):
    """A split or a merge policy with a name of the network's own."""

    Custom: str


EvalSplit: TypeAlias = Literal["Train", "Validation", "Test"] | Custom
"""Which examples to evaluate on."""

MergePolicy: TypeAlias = (
    Literal["WeightedMean", "NormClippedWeightedMean", "TrimmedMean", "Ema", "QualityWeightedEma"]
    | Custom
)
"""How candidates are merged; validators use QualityWeightedEma."""


class RootEmaWeight(TypedDict):
    """The share of the canonical model, 0..1: local * (1 - w) + canonical * w."""

    canonical_weight: float


class RootEma(TypedDict):
    """Reconcile by moving the local weights towards the canonical ones."""

    RootEma: RootEmaWeight


ReconcileStrategy: TypeAlias = Literal["Replace"] | RootEma
"""What becomes of local training when a new canonical model arrives."""


class CachedMicroshardGroup(TypedDict):
    """A batch of dataset shards that are files on this machine.

    The three lists have one entry per shard, in the same order.
    """

    kind: Literal["cached_microshard_group"]
    shard_paths: list[str]
    microshard_ids: list[str]
    ordinals: list[int]
    """Place of each shard in the whole dataset, from 0."""
    bytes_len: int
    """Size of all files together, in bytes."""


class MicroEpoch(TypedDict):
    """A batch that the host describes and the workload produces, for instance by generating it."""

    kind: Literal["micro_epoch"]
    lease_id: str
    microshard_ids: list[str]
    """All shards of the lease, in its order."""
    ordinals: list[int]
    """Ordinals of the shards that are cached as files; may be fewer."""
    bytes_len: int
    pipeline_kind: Literal["sharded-static", "indexed-dataset", "generated-dataset", "custom"]
    payload: Any
    """Whatever JSON value the pipeline's author chose."""


class MemoryMicroshardGroup(TypedDict):
    """A batch of shards in the memory of a host in the same process, lent for the window."""

    kind: Literal["memory_microshard_group"]
    shards: list[Any]
    """One torchbed.LentBuffer a shard; torchbed.tensors.tensor_views(shard) reads safetensors."""
    microshard_ids: list[str]
    ordinals: list[int]
    bytes_len: int
    """Size of all shards together, in bytes."""


Batch: TypeAlias = CachedMicroshardGroup | MicroEpoch | MemoryMicroshardGroup
"""One element of train_window's `batches`. Branch on `kind`, and refuse kinds you do not know."""


class CapabilityEstimate(TypedDict):
    """What this machine can do; the host plans leases with it."""

    preferred_backends: list[str]
    """Best first, such as ["python-torch-cuda", "python-torch-cpu"]."""
    work_units_per_second: float
    """Finite, not negative."""
    target_window_seconds: int
    """How long one training window should take; not negative."""


class MergeCandidate(TypedDict):
    """A model that another peer trained from the same base."""

    peer_id: str
    head_id: str
    artifact_id: str
    model: Any
    """The candidate's state. Read it only: it is used again after the merge."""
    sample_weight: float
    """How much data the peer claims to have trained on."""
    quality_weight: float
    """Above 0, at most 1; from the loss that the peer claims."""


RuntimePatch = TypedDict(
    "RuntimePatch",
    {
        "patch_id": str,
        "class": Literal["Hot", "Warm", "Cold"],
        "summary": str,
        "values": dict[str, bool | int | float | str | list[str]],
        "required_client_capabilities": list[str],
    },
)
"""A change of settings for a running experiment. `values` are bare: {"learning_rate": 0.0002}."""


class Rejected(TypedDict):
    """The patch was not applied; says why, in one sentence."""

    Rejected: str


PatchOutcome: TypeAlias = Literal["Applied", "RequiresRestart"] | Rejected


class Workload(Protocol[State]):
    """The hooks that every workload has, beside one to load and one to write artifacts.

    An attribute `workload_name: str` is optional; without it the class name is used.
    """

    def runtime_device(self) -> MaybeAwaitable[str]:
        """Return the tag of the device in use, by convention python-torch-cpu, -cuda or -mps.

        Called at start. The host hands the tag back to init_model, without reading it.
        """
        ...

    def capability_probe(self) -> MaybeAwaitable[CapabilityEstimate]:
        """Return what this machine can do. Called at start; may measure, but be quick."""
        ...

    def init_model(self, device: str) -> MaybeAwaitable[State]:
        """Return a new, independent state with fresh weights on the device. Not None.

        Called for the first model, and again for each candidate that is loaded to be merged:
        several states are alive at once. Seed it if peers must begin with equal weights.
        """
        ...

    def train_window(self, state: State, batches: Sequence[Batch]) -> MaybeAwaitable[Metrics]:
        """Train the state in place for one window and return metrics.

        batches: what the lease gave, in order; may be empty. The host weighs the contribution
        with the first of tokens_processed, accepted_tokens_or_samples, examples_processed,
        sample_count, samples, batch_count that is a number above 0, and judges quality by `loss`.
        """
        ...

    def evaluate(self, state: State, split: EvalSplit) -> MaybeAwaitable[Metrics]:
        """Return metrics of the state on a split; leave the state as it was."""
        ...


class LoadsArtifactPath(Protocol[State]):
    """Reads weights from a file. Preferred to LoadsArtifactBytes when a workload has both."""

    def load_model_artifact_path(self, state: State, path: str) -> MaybeAwaitable[State | None]:
        """Load the file into the state and return None, or return a state to use instead.

        path: absolute; deleted after the call, so do not keep a memory map of it. The bytes come
        from a peer: they match their hash, yet shapes and dtypes are for you to check.
        """
        ...


class LoadsArtifactBytes(Protocol[State]):
    """Reads weights from memory; used when there is no load_model_artifact_path."""

    def load_model_artifact(self, state: State, data: bytes) -> MaybeAwaitable[State | None]:
        """Like load_model_artifact_path, given the whole file."""
        ...


class MaterializesArtifactPath(Protocol[StateIn]):
    """Writes weights to a file. Preferred to MaterializesArtifactBytes when there are both."""

    def materialize_model_artifact_path(self, state: StateIn, path: str) -> object:
        """Write the state's weights to the file; its folder exists. The result is ignored.

        Equal weights should give equal bytes: artifacts are named by their hash.
        """
        ...


class MaterializesArtifactBytes(Protocol[StateIn]):
    """Writes weights to memory; used when there is no materialize_model_artifact_path."""

    def materialize_model_artifact(self, state: StateIn) -> MaybeAwaitable[bytes]:
        """Return the whole file."""
        ...


class ExchangesTensors(Protocol[State]):
    """Gives and takes weights as tensors. Tried before the artifact hooks; the host does the rest.

    The fast way: no file, and one copy between the model and the host's memory.
    """

    def model_tensors(self, state: State) -> MaybeAwaitable[Mapping[str, Any]]:
        """Return the state's weights by name, such as `model.state_dict()`.

        They are written as safetensors, without being changed, before any other hook is called.
        """
        ...

    def load_model_tensors(
        self, state: State, tensors: Mapping[str, Any]
    ) -> MaybeAwaitable[State | None]:
        """Copy tensors into the state, such as by `model.load_state_dict(tensors)`.

        tensors: read-only views of the host's memory, on the CPU. They are gone after the call:
        clone what is to be kept. Shapes and dtypes come from a peer and are for you to check.
        """
        ...


class MergesModels(Protocol[State]):
    """Needed by peers that validate or reduce."""

    def merge_candidate_models(
        self, base: State, candidates: Sequence[MergeCandidate], policy: MergePolicy
    ) -> MaybeAwaitable[State | None]:
        """Return a new state merged from the candidates, or None to promote the best of them.

        The reference weighs each by sample_weight * quality_weight and takes
        base + sum(w * (candidate - base)) / sum(w) over float tensors
        (spec project#merge-arithmetic).
        """
        ...

    def apply_single_root_ema(
        self, base: State, merged: State, policy: MergePolicy
    ) -> MaybeAwaitable[State | None]:
        """Damp the merge: change merged in place and return None, or return a replacement.

        The reference uses 0.75 * merged + 0.25 * base.
        """
        ...


class ReconcilesModels(Protocol[State]):
    """Needed by peers that go on training while a new canonical model is being made."""

    def reconcile_canonical_model(
        self, local: State, canonical: State, strategy: ReconcileStrategy
    ) -> MaybeAwaitable[State | None]:
        """Bring the two together: change canonical in place and return None, or replace it.

        Training continues with the result. Carry over optimizer state here if it should live on.
        """
        ...


class KeepsTrainingState(Protocol[State]):
    """Optional; lets a peer that was killed go on as if it had not been.

    Artifacts carry what peers exchange. What a peer has for itself beside them (an optimizer's
    moments, the position of a sampler, generators of random numbers) survives under `RootEma`
    only in these files, which stay on the peer's own disk.
    """

    def save_training_state(self, state: State, path: str) -> object:
        """Write all of the state that training depends on to the file. The result is ignored.

        path: absolute, and not there yet; its folder exists. Called after every window.
        """
        ...

    def load_training_state(self, state: State, path: str) -> MaybeAwaitable[State | None]:
        """Load such a file into a new state and return None, or return a state to use instead.

        Training must then continue with the same bits. path: keep no memory map of it.
        """
        ...


class AcceptsPatches(Protocol):
    """Optional; without it every patch is rejected."""

    def apply_patch(self, patch: RuntimePatch) -> MaybeAwaitable[PatchOutcome]:
        """Apply new settings now and say so. Apply all of the patch or nothing."""
        ...


def __getattr__(name: str) -> Any:
    """Import what few workloads need when it is asked for: every start of Python imports this."""
    if name == "Module":
        from ._workload.module import Module

        return Module
    if name in ("PackPlan", "pack_plan", "pack_values", "unpack_values"):
        from ._workload import packs

        return getattr(packs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
