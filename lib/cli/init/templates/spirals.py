"""A workload: a small network learns on which of three arms of a spiral a point lies.

torchbed calls the methods below; torchbed.json says with what. A `state` is whatever `init_model`
returns. Every peer has one, and the peers' models are merged after each window.

Shapes: B points in a minibatch, N points in a set of shards, 2 coordinates, 3 arms.
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torchbed.tensors import tensor_views
from torchbed.workload import merge_weight, weighted_merge

HERE = Path(__file__).parent
MINIBATCH = 48


class Spirals:
    """What "workload_factory" of torchbed.json names."""

    workload_name = "spirals"

    def __init__(self, config):
        """Take "workload_config" of torchbed.json."""
        self.config = config
        torch.set_num_threads(1)  # leave the other cores to Node.js and to other programs

    def runtime_device(self):
        """Return where the models are."""
        return "python-torch-cpu"

    def capability_probe(self):
        """Return what this machine can do."""
        return {
            "preferred_backends": ["python-torch-cpu"],
            "work_units_per_second": 100.0,
            "target_window_seconds": 1,
        }

    # --- training ---

    def init_model(self, device):
        """Return a new state. All peers begin with equal weights, hence the seed."""
        torch.manual_seed(1)
        hidden = self.config["hidden_units"]
        model = nn.Sequential(
            nn.Linear(2, hidden), nn.Tanh(),
            nn.Linear(hidden, hidden), nn.Tanh(),
            nn.Linear(hidden, 3),
        )  # fmt: skip
        return {"model": model, "optimizer": self._optimizer(model)}

    def train_window(self, state, batches):
        """Train on the shards that this peer has leased for the window."""
        paths = [path for batch in batches for path in batch["shard_paths"]]
        x, y = read_shards(paths)  # [N, 2], [N]
        loss_sum = hits = 0.0
        for _ in range(self.config["epochs_per_window"]):
            loss_sum = hits = 0.0
            for rows in torch.randperm(len(y)).split(MINIBATCH):  # [B]
                scores = state["model"](x[rows])  # [B, 3]
                loss = functional.cross_entropy(scores, y[rows])  # []
                state["optimizer"].zero_grad()
                loss.backward()
                state["optimizer"].step()
                loss_sum += loss.item() * len(rows)
                hits += (scores.argmax(dim=1) == y[rows]).sum().item()
        return {
            "loss": loss_sum / len(y),
            "accuracy": hits / len(y),
            "examples_processed": len(y) * self.config["epochs_per_window"],
        }

    def evaluate(self, state, split):
        """Measure the model on points that no peer trains on."""
        x, y = read_shards((HERE / self.config["held_out"]).glob("*.safetensors"))
        with torch.inference_mode():
            scores = state["model"](x)  # [N, 3]
            loss = functional.cross_entropy(scores, y)  # []
            accuracy = (scores.argmax(dim=1) == y).float().mean()  # []
        return {"loss": loss.item(), "accuracy": accuracy.item()}

    # --- weights that come and go ---

    def model_tensors(self, state):
        """Return what an artifact is made of, by name."""
        return state["model"].state_dict()

    def load_model_tensors(self, state, tensors):
        """Take over weights, which may be a peer's. They are views that are gone after the call."""
        state["model"].load_state_dict(tensors)
        state["optimizer"] = self._optimizer(state["model"])  # its moments belong to other weights

    # --- many models become one ---

    def merge_candidate_models(self, base, candidates, policy):
        """Return the mean of the peers' models, weighted by their data and quality."""
        if not candidates:
            return None  # no merge
        mean = weighted_merge(
            self.model_tensors(base),
            [
                (peer["peer_id"], self.model_tensors(peer["model"]), merge_weight(peer, policy))
                for peer in candidates
            ],
        )
        merged = self.init_model("cpu")
        merged["model"].load_state_dict(mean)
        return merged

    def apply_single_root_ema(self, base, merged, policy):
        """Keep the merge as it is: None. Damp it here by moving it towards the base."""

    def reconcile_canonical_model(self, local, canonical, strategy):
        """Go on from the merged model: None."""

    def _optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.config["learning_rate"])


def read_shards(paths):
    """Return all points of some shards: float32 [N, 2], and their arms, int64 [N]."""
    shards = [tensor_views(bytearray(path.read_bytes())) for path in map(Path, paths)]
    if not shards:
        raise FileNotFoundError("no shards; run prepare.py")
    return torch.cat([shard["x"] for shard in shards]), torch.cat([shard["y"] for shard in shards])
