"""A workload without torch: its model is a dict, and `batches` say what a window does."""

import asyncio
import json
import sys
import time
from typing import Any


class Plain:
    workload_name = "plain"

    def __init__(self, config: Any) -> None:
        self.config = config

    def runtime_device(self) -> str:
        return "python-plain"

    def capability_probe(self) -> dict[str, Any]:
        return {
            "preferred_backends": ["cpu"],
            "work_units_per_second": 2.0,
            "target_window_seconds": 3,
        }

    def init_model(self, device: str) -> dict[str, Any]:
        return {"device": device, "steps": 0}

    def train_window(self, state: dict[str, Any], batches: list[dict[str, Any]]) -> Any:
        for batch in batches:
            state["steps"] += 1
            if "payload" in batch:
                # A test writes what should happen as an expression or a statement.
                names = {
                    "workload": self,
                    "state": state,
                    "batch": batch,
                    "time": time,
                    "sys": sys,
                    "asyncio": asyncio,
                }
                if "return" in batch["payload"]:
                    return eval(batch["payload"]["return"], names)
                exec(batch["payload"]["do"], names)
        return {
            "steps": state["steps"],
            "examples_processed": 10 * len(batches),
            "loss": 0.5,
        }

    def evaluate(self, state: dict[str, Any], split: Any) -> dict[str, Any]:
        return {"accuracy": 0.75, "split": json.dumps(split), "steps": state["steps"]}

    def load_model_artifact_path(self, state: dict[str, Any], path: str) -> None:
        with open(path, encoding="utf-8") as file:
            state.update(json.load(file))

    def materialize_model_artifact_path(self, state: dict[str, Any], path: str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(state, file)


class BytesOnly:
    """The bytes hooks alone."""

    def runtime_device(self) -> str:
        return "python-plain"

    def capability_probe(self) -> dict[str, Any]:
        return Plain(None).capability_probe()

    def init_model(self, device: str) -> list[bytes]:
        return [b""]

    def load_model_artifact(self, state: list[bytes], data: bytes) -> list[bytes]:
        return [data]

    def materialize_model_artifact(self, state: list[bytes]) -> bytes:
        return state[0]


def create_workload(config: Any) -> Plain:
    return Plain(config)


def create_bytes_only(config: Any) -> BytesOnly:
    return BytesOnly()


def create_nothing(config: Any) -> None:
    return None


def create_failing(config: Any) -> None:
    raise LookupError("no such dataset")


not_callable = 3


class Mergeable(Plain):
    """Merges by the mean of the steps, weighted by samples; quality decides nothing here."""

    def merge_candidate_models(
        self, base: dict[str, Any], candidates: list[dict[str, Any]], policy: Any
    ) -> dict[str, Any] | None:
        if self.config.get("declines"):
            return None
        weights = [candidate["sample_weight"] for candidate in candidates]
        steps = [candidate["model"]["steps"] for candidate in candidates]
        mean = sum(w * s for w, s in zip(weights, steps, strict=True)) / sum(weights)
        return {**base, "steps": mean, "policy": policy, "weights": weights}

    def apply_single_root_ema(
        self, base: dict[str, Any], merged: dict[str, Any], policy: Any
    ) -> dict[str, Any]:
        return {**merged, "steps": merged["steps"] * 0.5 + base["steps"] * 0.5}

    def reconcile_canonical_model(
        self, local: dict[str, Any], canonical: dict[str, Any], strategy: Any
    ) -> None:
        canonical["reconciled"] = strategy

    def evaluate(self, state: dict[str, Any], split: Any) -> dict[str, Any]:
        loss = self.config.get("loss", 1.0) / (1 + state["steps"])
        return {"accuracy": 0.75, "loss": loss, "steps": state["steps"]}


class Large(Mergeable):
    """Its artifact has as many bytes as the configuration says."""

    def materialize_model_artifact_path(self, state: dict[str, Any], path: str) -> None:
        with open(path, "wb") as file:
            file.write(bytes(self.config["bytes"]))


def create_large(config: dict[str, Any]) -> Large:
    return Large(config)


class Interruptible(Mergeable):
    """Runs a statement instead of training, once it has trained some windows."""

    windows = 0

    def train_window(self, state: dict[str, Any], batches: list[dict[str, Any]]) -> Any:
        self.windows += 1
        if self.windows > self.config["after"]:
            exec(self.config["statement"], {"time": time})
        return super().train_window(state, batches)


def create_interruptible(config: dict[str, Any]) -> Interruptible:
    return Interruptible(config)


def create_mergeable(config: Any) -> Mergeable:
    return Mergeable(config or {})
