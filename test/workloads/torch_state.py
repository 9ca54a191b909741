"""A workload whose state is a small torch module with its optimizer; a window runs a statement."""

import time
from typing import Any


class Trained:
    def __init__(self) -> None:
        import torch

        self.model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
        self.optimizer = torch.optim.Adam(self.model.parameters())


def step(state: Trained) -> None:
    """Change the weights once."""
    import torch

    loss = state.model(torch.ones(2, 4)).sum()
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()


class TorchState:
    def init_model(self, device: str) -> Trained:
        return Trained()

    def train_window(self, state: Trained, batches: list[dict[str, Any]]) -> dict[str, Any]:
        for batch in batches:
            exec(batch["payload"]["do"], {"state": state, "step": step, "time": time})
        return {}


def create_workload(config: Any) -> TorchState:
    return TorchState()
