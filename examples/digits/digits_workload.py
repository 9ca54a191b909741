"""A workload that learns to read handwritten digits: an MLP of 9,610 weights, trained in windows.

The file shows every hook that a workload can have (spec hooks#the-hooks). `create_workload(config)`
is the factory; the config's keys are the fields of Config.

The life of a model, as the host sees it:

    init_model -> train_window, train_window, ... -> materialize_model_artifact_path -> a file
                  evaluate between windows           load_model_artifact_path       <- a peer's file
                  merge_candidate_models + apply_single_root_ema: many peers' models become one
                  reconcile_canonical_model: that one, and what was learnt here meanwhile

Shapes: B examples in a minibatch, N in all shards of a window, 64 pixels, H hidden units.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchbed.workload import merge_weight, weighted_merge

Metrics: TypeAlias = dict[str, bool | int | float | str]
Name: TypeAlias = str | Mapping[str, Any]  # "Test", or {"Custom": "held-out"}: a name with a value
Tensors: TypeAlias = Mapping[str, Tensor]

DEVICES = {
    "python-torch-cpu": "cpu",
    "python-torch-cuda": "cuda",
    "python-torch-mps": "mps",
}


@dataclass(frozen=True)
class Config:
    """What the host's configuration may set. Relative paths start at the current directory."""

    train_root: str = "out/digits/data/train"  # shards for evaluate("Train")
    test_root: str = "out/digits/data/test"  # shards for evaluate("Test") and ("Validation")
    device: str = "python-torch-cpu"
    threads: int = 1  # of torch; 1 leaves the other cores to the host's event loop
    seed: int = 7
    hidden: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    minibatch: int = 32
    epochs_per_window: int = 4


class State(TypedDict):
    """One model in training. Artifacts carry the model's weights alone."""

    model: nn.Module
    optimizer: torch.optim.AdamW
    order: torch.Generator  # shuffles the examples of a window


class Capability(TypedDict):
    """What this machine is good for; the host plans how much data to lease with it."""

    preferred_backends: list[str]
    work_units_per_second: float
    target_window_seconds: int


class Rejected(TypedDict):
    """Why a patch was not applied."""

    Rejected: str


def create_workload(config: Mapping[str, Any] | None) -> "DigitsWorkload":
    """Make the workload. Raises ValueError for a config key that does not exist."""
    config = config or {}
    known = [field.name for field in fields(Config)]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(f"unknown keys in workload_config: {unknown}; known are {known}")
    return DigitsWorkload(Config(**config))


class DigitsWorkload:
    """The hooks, in the order in which a model's life needs them."""

    workload_name = "digits-mlp"

    def __init__(self, config: Config) -> None:
        """config: see Config."""
        self.config = config
        self.learning_rate = config.learning_rate  # apply_patch changes it
        torch.set_num_threads(config.threads)

    # --- what this machine is and can do ---

    def runtime_device(self) -> str:
        """Return the device's tag, which comes back in init_model."""
        return self.config.device

    def capability_probe(self) -> Capability:
        """Measure training speed for a moment. A work unit is 16 examples, the default."""
        state = self.init_model(self.config.device)
        device = next(state["model"].parameters()).device
        images = torch.zeros(self.config.minibatch, 64, device=device)  # [B, 64]
        labels = torch.zeros(self.config.minibatch, dtype=torch.int64, device=device)  # [B]
        examples, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < 0.05:
            train_step(state, images, labels)
            examples += len(labels)
        return {
            "preferred_backends": [self.config.device],
            "work_units_per_second": examples / 16 / seconds,
            "target_window_seconds": 10,
        }

    # --- training ---

    def init_model(self, device: str) -> State:
        """Return fresh weights. All peers draw the same ones, so that their models can merge."""
        if device not in DEVICES:
            raise ValueError(f"unknown device {device!r}; known are {sorted(DEVICES)}")
        with torch.random.fork_rng(devices=[]):  # leaves the global generator as it was
            torch.manual_seed(self.config.seed)
            model = nn.Sequential(
                nn.Linear(64, self.config.hidden),  # [B, 64] -> [B, H]
                nn.ReLU(),
                nn.Linear(self.config.hidden, 10),  # [B, H] -> [B, 10]: a score for each digit
            )
        return self._state(model.to(DEVICES[device]))

    def _state(self, model: nn.Module) -> State:
        return {
            "model": model,
            "optimizer": torch.optim.AdamW(
                model.parameters(), lr=self.learning_rate, weight_decay=self.config.weight_decay
            ),
            "order": torch.Generator().manual_seed(self.config.seed),
        }

    def train_window(self, state: State, batches: Sequence[Mapping[str, Any]]) -> Metrics:
        """Train on the shards of all batches for a few epochs.

        Returns the mean loss and accuracy over the last epoch, each example seen just before the
        step that learnt from it, and the number of examples processed in all epochs.
        """
        paths = [path for batch in batches for path in shard_paths(batch)]
        if not paths:
            return {"examples_processed": 0}
        state["model"].train()
        for group in state["optimizer"].param_groups:
            group["lr"] = self.learning_rate
        device = next(state["model"].parameters()).device
        images, labels = (tensor.to(device) for tensor in read_shards(paths))  # [N, 64], [N]
        total_loss, correct = 0.0, 0
        for _ in range(self.config.epochs_per_window):
            total_loss, correct = 0.0, 0
            shuffled = torch.randperm(len(labels), generator=state["order"]).to(device)  # [N]
            for start in range(0, len(labels), self.config.minibatch):
                rows = shuffled[start : start + self.config.minibatch]  # [B]
                loss, hits = train_step(state, images[rows], labels[rows])
                total_loss += loss * len(rows)
                correct += hits
        return {
            "loss": total_loss / len(labels),
            "accuracy": correct / len(labels),
            "examples_processed": len(labels) * self.config.epochs_per_window,
        }

    def evaluate(self, state: State, split: Name) -> Metrics:
        """Return mean loss and accuracy over all shards of the split."""
        if split == "Train":
            root = self.config.train_root
        elif split in ("Test", "Validation"):
            root = self.config.test_root
        else:
            raise ValueError(f"no data for the split {split!r}; there are Train, Validation, Test")
        state["model"].eval()
        device = next(state["model"].parameters()).device
        images, labels = (tensor.to(device) for tensor in read_folder(root))  # [N, 64], [N]
        with torch.inference_mode():
            scores = state["model"](images)  # [N, 10]
            loss = F.cross_entropy(scores, labels)  # []
            accuracy = (scores.argmax(dim=1) == labels).float().mean()  # []
        return {"loss": loss.item(), "accuracy": accuracy.item(), "examples": len(labels)}

    # --- weights that come and go ---

    def materialize_model_artifact_path(self, state: State, path: str) -> None:
        """Write the weights. Equal weights give equal bytes, hence equal artifact ids."""
        save_file({name: tensor.cpu() for name, tensor in weights(state).items()}, path)

    def load_model_artifact_path(self, state: State, path: str) -> None:
        """Take over weights from a file, which may be a peer's. Refused ones change nothing.

        A NaN would spread to every merged model. The optimizer's moments belong to other weights,
        so they begin anew.
        """
        tensors = load_file(path)
        if layout(tensors) != layout(weights(state)):
            raise ValueError(f"the artifact holds {layout(tensors)}, not {layout(weights(state))}")
        for name, tensor in tensors.items():
            if not bool(tensor.isfinite().all()):
                raise ValueError(f"the artifact's tensor {name!r} holds a NaN or an infinity")
        state["model"].load_state_dict(tensors)
        state.update(self._state(state["model"]))

    # --- many models become one ---

    def merge_candidate_models(
        self, base: State, candidates: Sequence[Mapping[str, Any]], policy: Name
    ) -> State | None:
        """Return base + sum(w * (candidate - base)) / sum(w), with w by data and by quality.

        Without candidates there is nothing to merge: None. With no weight at all: the base.
        """
        if not candidates:
            return None
        merged = weighted_merge(
            weights(base),
            [
                (peer["peer_id"], weights(peer["model"]), merge_weight(peer, policy))
                for peer in candidates
            ],
        )
        state = self.init_model(self.config.device)
        state["model"].load_state_dict(merged)
        return state

    def apply_single_root_ema(self, base: State, merged: State, policy: Name) -> None:
        """Damp the merge, in place: 0.75 merged + 0.25 base."""
        blend(merged, base, 0.25)

    def reconcile_canonical_model(self, local: State, canonical: State, strategy: Name) -> None:
        """Go on from the canonical model, or from local * (1 - w) + canonical * w."""
        if strategy == "Replace":
            return
        if not isinstance(strategy, Mapping) or set(strategy) != {"RootEma"}:
            raise ValueError(f"unknown strategy {strategy!r}; known are Replace and RootEma")
        blend(canonical, local, 1.0 - strategy["RootEma"]["canonical_weight"])
        # The result is close to the local weights, so what the optimizer has learnt still holds.
        canonical["optimizer"].load_state_dict(local["optimizer"].state_dict())
        canonical["order"].set_state(local["order"].get_state())

    # --- what a peer keeps for itself, so that a kill costs it nothing ---

    def save_training_state(self, state: State, path: str) -> None:
        """Write the weights, the optimizer's moments and the place in the order of examples."""
        kept = {
            "model": state["model"].state_dict(),
            "optimizer": state["optimizer"].state_dict(),
            "order": state["order"].get_state(),
        }
        torch.save(kept, path)

    def load_training_state(self, state: State, path: str) -> None:
        """Take over all that save_training_state wrote."""
        kept = torch.load(path, weights_only=True)
        state["model"].load_state_dict(kept["model"])
        state["optimizer"].load_state_dict(kept["optimizer"])
        state["order"].set_state(kept["order"])

    # --- settings that change on the way ---

    def apply_patch(self, patch: Mapping[str, Any]) -> Literal["Applied"] | Rejected:
        """Take a new learning rate: {"learning_rate": 0.0002}. It holds from the next window."""
        values = patch["values"]
        if set(values) != {"learning_rate"}:
            return {"Rejected": f"can set learning_rate alone, not {sorted(values)}"}
        rate = values["learning_rate"]
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
            return {"Rejected": f"learning_rate must be a number between 0 and 1, not {rate!r}"}
        self.learning_rate = float(rate)
        return "Applied"


# --- steps of the above ---


def train_step(state: State, images: Tensor, labels: Tensor) -> tuple[float, int]:
    """Learn from one minibatch, [B, 64] and [B]. Return its mean loss, and how many were right."""
    scores = state["model"](images)  # [B, 10]
    loss = F.cross_entropy(scores, labels)  # []
    state["optimizer"].zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    state["optimizer"].step()
    return loss.item(), int((scores.argmax(dim=1) == labels).sum().item())


def shard_paths(batch: Mapping[str, Any]) -> list[str]:
    """Return the files of a batch. There are batches without files, which are not for us."""
    if batch["kind"] != "cached_microshard_group":
        raise ValueError(f"cannot train on batches of kind {batch['kind']!r}")
    paths: list[str] = batch["shard_paths"]
    return paths


def read_shards(paths: Iterable[str]) -> tuple[Tensor, Tensor]:
    """Return all examples of some shards: images float32 [N, 64] in 0..1, labels int64 [N]."""
    shards = [load_file(path) for path in paths]
    images = torch.cat([shard["images"] for shard in shards])
    labels = torch.cat([shard["labels"] for shard in shards])
    return images, labels


@cache
def read_folder(root: str) -> tuple[Tensor, Tensor]:
    """Like read_shards, for all shards in a folder; read once, for the whole process."""
    paths = sorted(map(str, Path(root).glob("*.safetensors")))
    if not paths:
        raise FileNotFoundError(
            f"no shards in {Path(root).absolute()}; run examples/digits/prepare.py first"
        )
    return read_shards(paths)


def weights(state: State) -> dict[str, Tensor]:
    """Return the tensors that an artifact holds: "0.weight" [H, 64], "0.bias" [H], and so on."""
    return state["model"].state_dict()


def layout(tensors: Tensors) -> dict[str, tuple[list[int], torch.dtype]]:
    """Return what must be equal for weights to fit: names, shapes and dtypes."""
    return {name: (list(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}


def map_floats(tensors: Tensors, change: Callable[[str, Tensor], Tensor]) -> dict[str, Tensor]:
    """Change the float tensors. Integers, such as BatchNorm's step counters, have no mean."""
    return {
        name: change(name, tensor) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def blend(target: State, other: State, share: float) -> None:
    """Move the target towards other, in place: target * (1 - share) + other * share."""
    others = weights(other)
    mixed = map_floats(weights(target), lambda name, mine: mine.lerp(others[name], share))
    target["model"].load_state_dict(mixed)
