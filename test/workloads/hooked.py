"""A workload with hooks of its own: what JavaScript may call by name, and what it may not."""

from typing import Any

import torch
import torchbed

from plain import Plain


class Hooked(Plain):
    callable_hooks = frozenset({"echo", "predict", "state_of", "keep", "fail", "odd", "describe"})
    kept: Any = None

    def echo(self, value: Any) -> Any:
        return value

    def state_of(self, state: Any) -> Any:
        return state

    def predict(self, state: Any, value: Any) -> Any:
        x = value["x"]
        return {"y": x * 2 + state["steps"], "shape": list(x.shape)}

    def describe(self, value: torch.Tensor) -> Any:
        return {"dtype": str(value.dtype), "shape": list(value.shape), "items": value.tolist()}

    def keep(self, value: Any) -> Any:
        self.kept = value
        return None

    def fail(self, value: Any) -> Any:
        raise RuntimeError("no prediction today")

    def odd(self, value: str) -> Any:
        """Tensors that are not rows of plain memory."""
        base = torch.arange(6, dtype=torch.float32).reshape(2, 3)
        if value == "transposed":
            return base.t()
        if value == "strided":
            return base[:, ::2]
        if value == "grad":
            return base.requires_grad_()
        if value == "conjugate":
            return torch.tensor([1 + 2j]).conj()
        if value == "expanded":
            return torch.ones(1).expand(4)
        if value == "sparse":
            return {"a": [base.to_sparse()]}
        if value == "object":
            return {"a": [object()]}
        if value == "large":
            return [torch.full((100_000,), 1.5), {"n": torch.arange(50_000)}]
        raise AssertionError(value)

    @torchbed.callable_hook
    def decorated(self) -> int:
        return 7

    def hidden(self, value: Any) -> Any:
        return value


def create_workload(config: Any) -> Hooked:
    return Hooked(config)
