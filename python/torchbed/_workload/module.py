"""A workload made of a torch.nn.Module, a loss and an optimizer."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from .._host.callable_hooks import callable_hook
from .._host.cancelling import should_stop
from .._host.merging import merge_weight, weighted_merge
from .._host.progressing import progress
from .._host.yielding import yield_point
from .examples import Examples, count_of, joined, read_shards
from .packs import pack_values, unpack_values

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..workload import CapabilityEstimate, PatchOutcome

DEVICES = {
    "python-torch-cpu": "cpu",
    "python-torch-cuda": "cuda",
    "python-torch-mps": "mps",
}

PROBE_SECONDS = 0.05
"""How long training speed is measured."""

EXAMPLES_PER_WORK_UNIT = 16
"""As the host counts them, unless its plan says otherwise."""


class ModuleState(TypedDict):
    """One model in training. Artifacts carry the model's weights alone."""

    model: "nn.Module"
    optimizer: "torch.optim.Optimizer"
    order: "torch.Generator"
    """Shuffles the examples of a window."""


class Module:
    """All hooks of a workload, for a model whose loss is a mean over examples.

    A shard is a safetensors file whose tensors have one row per example. A window shuffles the rows
    of all its shards and goes through them `epochs` times in minibatches. Everything may be
    overridden in a subclass.
    """

    def __init__(
        self,
        model: "Callable[[], nn.Module]",
        loss: "Callable[[nn.Module, Examples], torch.Tensor | Mapping[str, torch.Tensor]]",
        optimizer: "Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]",
        *,
        name: str = "module",
        splits: Mapping[str, str | os.PathLike[str]] | None = None,
        minibatch: int = 32,
        epochs: int = 1,
        seed: int = 0,
        device: str | None = None,
        threads: int | None = None,
        root_ema: float = 0.25,
        evaluation_minibatch: int = 1024,
        examples: Callable[[Any], Examples] | None = None,
    ) -> None:
        """Take what the workload is made of.

        model: makes a new model; called under `seed`, so that all peers begin with equal weights.
        loss: the mean loss of a minibatch, a scalar; or a dict of scalar means with "loss" in it,
        whose other entries become metrics. Gets the model and the minibatch, tensors by name.
        optimizer: makes an optimizer of the model's parameters.
        splits: folders of shards for evaluate, such as {"Test": "data/test"}.
        device: python-torch-cpu, -cuda or -mps. Default: the best that this machine has.
        threads: for torch.set_num_threads. Default: as they are.
        root_ema: share of the old model in what a merge becomes, at least 0 and below 1.
        evaluation_minibatch: examples that are evaluated at once.
        examples: makes examples of a batch's `payload`. Default: payloads are refused.

        Raises ValueError for a number out of range and an unknown device.
        """
        import torch

        for option, value in (
            ("minibatch", minibatch),
            ("epochs", epochs),
            ("evaluation_minibatch", evaluation_minibatch),
        ):
            if value < 1:
                raise ValueError(f"{option} must be at least 1, not {value}")
        if not 0 <= root_ema < 1:
            raise ValueError(f"root_ema must be at least 0 and below 1, not {root_ema}")
        self.workload_name = name
        self.device = _best_device() if device is None else device
        _torch_device(self.device)
        self._make_model = model
        self._loss = loss
        self._make_optimizer = optimizer
        self._splits = dict(splits or {})
        self._minibatch = minibatch
        self._epochs = epochs
        self._seed = seed
        self._root_ema = root_ema
        self._evaluation_minibatch = evaluation_minibatch
        self._from_payload = examples
        self._read: dict[str, Examples] = {}
        self._learning_rate: float | None = None
        if threads is not None:
            torch.set_num_threads(threads)

    # --- what this machine is and can do ---

    def runtime_device(self) -> str:
        """Return the device's tag."""
        return self.device

    def capability_probe(self) -> "CapabilityEstimate":
        """Measure training speed on the first shard of a split; without one, claim little."""
        return {
            "preferred_backends": [self.device],
            "work_units_per_second": self._measured_speed() or 100.0,
            "target_window_seconds": 10,
        }

    def _measured_speed(self) -> float | None:
        shards = (shard for folder in self._splits.values() for shard in _shards(folder))
        first = next(shards, None)
        if first is None:
            return None
        state = self.init_model(self.device)
        minibatch = {
            name: tensor[: self._minibatch].to(_device_of(state))
            for name, tensor in read_shards([first]).items()
        }
        trained, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < PROBE_SECONDS:
            self._step(state, minibatch)
            trained += count_of(minibatch)
        return trained / EXAMPLES_PER_WORK_UNIT / seconds

    # --- training ---

    def init_model(self, device: str) -> ModuleState:
        """Return a state with fresh weights, the same for all peers."""
        import torch

        place = _torch_device(device)
        with torch.random.fork_rng(devices=[]):  # leaves the global generator as it was
            torch.manual_seed(self._seed)
            model = self._make_model()
        return self._state(model.to(place))

    def _state(self, model: "nn.Module") -> ModuleState:
        import torch

        return {
            "model": model,
            "optimizer": self._make_optimizer(model.parameters()),
            "order": torch.Generator().manual_seed(self._seed),
        }

    def train_window(self, state: ModuleState, batches: Sequence[Mapping[str, Any]]) -> Any:
        """Train on the examples of all batches.

        Returns the means of the last epoch, each example seen just before the step that learnt from
        it, and the number of examples processed in all epochs.
        """
        import torch

        examples = joined([self._examples(batch) for batch in batches])
        count = count_of(examples)
        if count == 0:
            return {"examples_processed": 0}
        state["model"].train()
        if self._learning_rate is not None:
            for group in state["optimizer"].param_groups:
                group["lr"] = self._learning_rate
        device = _device_of(state)
        examples = {name: tensor.to(device) for name, tensor in examples.items()}
        steps = self._epochs * -(-count // self._minibatch)
        step = 0
        means: dict[str, float] = {}
        for _ in range(self._epochs):
            sums: dict[str, float] = {}
            order = torch.randperm(count, generator=state["order"]).to(device)
            for rows in torch.split(order, self._minibatch):
                measured = self._step(state, {name: x[rows] for name, x in examples.items()})
                _add(sums, measured, len(rows))
                step += 1
                progress(step, steps, loss=measured["loss"])
                if should_stop():
                    return {}  # the call is cancelled, and has no answer
                yield_point()
            means = {name: total / count for name, total in sums.items()}
        return {**means, "examples_processed": count * self._epochs}

    def _step(self, state: ModuleState, minibatch: Examples) -> dict[str, float]:
        """Learn from one minibatch, and return its means."""
        measured = self._measured(state["model"], minibatch)
        state["optimizer"].zero_grad()
        measured["loss"].backward()  # type: ignore[no-untyped-call]
        state["optimizer"].step()
        return {name: value.item() for name, value in measured.items()}

    def _measured(self, model: "nn.Module", minibatch: Examples) -> "Mapping[str, torch.Tensor]":
        measured = self._loss(model, minibatch)
        return measured if isinstance(measured, Mapping) else {"loss": measured}

    def _examples(self, batch: Mapping[str, Any]) -> Examples:
        from ..tensors import tensor_views

        kind = batch["kind"]
        if kind == "cached_microshard_group":
            return read_shards(batch["shard_paths"])
        if kind == "memory_microshard_group":
            return joined([tensor_views(shard) for shard in batch["shards"]])
        if kind == "micro_epoch" and self._from_payload is not None:
            return self._from_payload(batch["payload"])
        raise ValueError(f"cannot train on batches of kind {kind!r}")

    def evaluate(self, state: ModuleState, split: Any) -> dict[str, Any]:
        """Return the means over all examples of the split, and how many there are."""
        import torch

        examples = self._split(split)
        count = count_of(examples)
        sums: dict[str, float] = {}
        device = _device_of(state)
        with _evaluating(state["model"]), torch.inference_mode():
            for start in range(0, count, self._evaluation_minibatch):
                rows = slice(start, start + self._evaluation_minibatch)
                minibatch = {name: x[rows].to(device) for name, x in examples.items()}
                means = self._measured(state["model"], minibatch)
                size = count_of(minibatch)
                _add(sums, {name: value.item() for name, value in means.items()}, size)
        return {**{name: total / count for name, total in sums.items()}, "examples": count}

    def _split(self, split: Any) -> Examples:
        """Return a split's examples, which are read once."""
        name = split["Custom"] if isinstance(split, Mapping) else split
        folder = self._splits.get(name)
        if folder is None:
            raise ValueError(f"no data for the split {split!r}; there are {sorted(self._splits)}")
        if name not in self._read:
            paths = _shards(folder)
            if not paths:
                raise FileNotFoundError(
                    f"no shards for {name} in {os.path.abspath(folder)}; put *.safetensors there"
                )
            self._read[name] = read_shards(paths)
        return self._read[name]

    # --- inference ---

    @callable_hook
    def predict(self, state: ModuleState, value: Any) -> Any:
        """Return the model's output for a tensor, for `project.call(model, "predict", tensor)`."""
        import torch

        with _evaluating(state["model"]), torch.inference_mode():
            return state["model"](value.to(_device_of(state)))

    # --- weights that come and go ---

    def model_tensors(self, state: ModuleState) -> "Mapping[str, torch.Tensor]":
        """Return the weights by name."""
        return state["model"].state_dict()

    def load_model_tensors(self, state: ModuleState, tensors: "Mapping[str, torch.Tensor]") -> None:
        """Take over weights, which may be a peer's. Refused ones change nothing.

        A NaN would spread to every merged model. The optimizer's moments belong to other weights,
        so they begin anew.
        """
        expected, given = _layout(state["model"].state_dict()), _layout(tensors)
        for name in sorted(expected.keys() | given.keys()):
            if expected.get(name) != given.get(name):
                raise ValueError(
                    f"the artifact's tensor {name!r} is {given.get(name, 'missing')}, "
                    f"and the model's is {expected.get(name, 'missing')}"
                )
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ValueError(f"the artifact's tensor {name!r} holds a NaN or an infinity")
        state["model"].load_state_dict(tensors)
        state.update(self._state(state["model"]))

    # --- what peers average in DiLoCo ---

    @callable_hook
    def parameter_pack(self, state: ModuleState) -> "torch.Tensor":
        """Return all floating-point weights and buffers as one float32 vector."""
        return pack_values(state)

    @callable_hook
    def load_parameter_pack(self, state: ModuleState, values: "torch.Tensor") -> None:
        """Take over such a vector; a bad one changes nothing. The optimizer goes on as it was."""
        unpack_values(state, values)

    # --- what a peer keeps for itself, so that a kill costs it nothing ---

    def save_training_state(self, state: ModuleState, path: str) -> None:
        """Write the weights, the optimizer's moments and the place in the order of examples."""
        import torch

        kept = {
            "model": state["model"].state_dict(),
            "optimizer": state["optimizer"].state_dict(),
            "order": state["order"].get_state(),
        }
        torch.save(kept, path)

    def load_training_state(self, state: ModuleState, path: str) -> None:
        """Take over all that save_training_state wrote."""
        import torch

        kept = torch.load(path, weights_only=True)
        state["model"].load_state_dict(kept["model"])
        state["optimizer"].load_state_dict(kept["optimizer"])
        state["order"].set_state(kept["order"])

    # --- many models become one ---

    def merge_candidate_models(
        self, base: ModuleState, candidates: Sequence[Mapping[str, Any]], policy: Any
    ) -> ModuleState | None:
        """Return base + sum(w * (candidate - base)) / sum(w); None without candidates."""
        if not candidates:
            return None
        merged = weighted_merge(
            base["model"].state_dict(),
            [
                (peer["peer_id"], peer["model"]["model"].state_dict(), merge_weight(peer, policy))
                for peer in candidates
            ],
        )
        state = self.init_model(self.device)
        state["model"].load_state_dict(merged)
        return state

    def apply_single_root_ema(self, base: ModuleState, merged: ModuleState, policy: Any) -> None:
        """Damp the merge, in place: merged * (1 - root_ema) + base * root_ema."""
        _blend(merged, base, self._root_ema)

    def reconcile_canonical_model(
        self, local: ModuleState, canonical: ModuleState, strategy: Any
    ) -> None:
        """Go on from the canonical model, or from local * (1 - w) + canonical * w."""
        if strategy == "Replace":
            return
        if not isinstance(strategy, Mapping) or set(strategy) != {"RootEma"}:
            raise ValueError(f"unknown strategy {strategy!r}; known are Replace and RootEma")
        _blend(canonical, local, 1.0 - strategy["RootEma"]["canonical_weight"])
        # The result is close to the local weights, so what the optimizer has learnt still holds.
        canonical["optimizer"].load_state_dict(local["optimizer"].state_dict())
        canonical["order"].set_state(local["order"].get_state())

    # --- settings that change on the way ---

    def apply_patch(self, patch: Mapping[str, Any]) -> "PatchOutcome":
        """Take a new learning rate: {"learning_rate": 0.0002}. It holds from the next window."""
        values = patch["values"]
        if set(values) != {"learning_rate"}:
            return {"Rejected": f"can set learning_rate alone, not {sorted(values)}"}
        rate = values["learning_rate"]
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
            return {"Rejected": f"learning_rate must be a number between 0 and 1, not {rate!r}"}
        self._learning_rate = float(rate)
        return "Applied"


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "python-torch-cuda"
    return "python-torch-mps" if torch.backends.mps.is_available() else "python-torch-cpu"


def _torch_device(tag: str) -> str:
    if tag not in DEVICES:
        raise ValueError(f"unknown device {tag!r}; known are {sorted(DEVICES)}")
    return DEVICES[tag]


def _device_of(state: ModuleState) -> "torch.device":
    return next(state["model"].parameters()).device


@contextlib.contextmanager
def _evaluating(model: "nn.Module") -> Iterator[None]:
    """Put a model into evaluation mode, and back: an urgent call may be inside a window."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        yield
    finally:
        if was_training:
            model.train()


def _shards(folder: str | os.PathLike[str]) -> list[str]:
    if not os.path.isdir(folder):
        return []
    names = sorted(name for name in os.listdir(folder) if name.endswith(".safetensors"))
    return [os.path.join(folder, name) for name in names]


def _add(sums: dict[str, float], means: Mapping[str, float], weight: int) -> None:
    for name, mean in means.items():
        sums[name] = sums.get(name, 0.0) + mean * weight


def _layout(tensors: "Mapping[str, torch.Tensor]") -> dict[str, str]:
    return {name: f"{x.dtype} {list(x.shape)}" for name, x in tensors.items()}


def _blend(target: ModuleState, other: ModuleState, share: float) -> None:
    """Move the target towards other, in place: target * (1 - share) + other * share."""
    others = other["model"].state_dict()
    target["model"].load_state_dict(
        {
            name: mine.lerp(others[name], share) if mine.is_floating_point() else mine
            for name, mine in target["model"].state_dict().items()
        }
    )
