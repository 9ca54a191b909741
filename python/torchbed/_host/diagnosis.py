"""The workload of `torchbed doctor`: says what Python in a Node.js process is like."""

import faulthandler
from typing import Any

from .failures import refused
from .torch_failures import broken


class Diagnosis:
    """A workload whose evaluations are questions: `openssl` and `torch`."""

    workload_name = "torchbed-diagnosis"

    def __init__(self, config: object) -> None:
        # To the process's own stderr, which outlives a crash.
        faulthandler.enable(2, all_threads=True)

    def init_model(self, device: str) -> object:
        """Return a model, as questions are asked about one."""
        return object()

    def evaluate(self, model: object, split: str) -> dict[str, Any]:
        """Answer a question. Fails with ERR_TORCH_MISSING and ERR_TORCH_BROKEN."""
        return {"openssl": openssl, "torch": torch_facts}[split]()


def openssl() -> dict[str, Any]:
    """Return the version of the OpenSSL that ssl is bound to; nothing where there is no ssl."""
    try:
        import ssl
    except ImportError:
        return {}
    return {"openssl": ssl.OPENSSL_VERSION}


def torch_facts() -> dict[str, Any]:
    """Return torch's version and devices, after it has computed something."""
    import torch

    if not hasattr(torch, "__version__"):
        place = getattr(torch, "__file__", None) or next(iter(torch.__path__))
        raise refused("ERR_TORCH_BROKEN", broken(f"{place} is not PyTorch"), "ImportError")
    ones = torch.ones(2, 2)  # [2, 2]
    if (ones @ ones).sum().item() != 8.0:
        raise RuntimeError("torch computed a wrong product")
    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return {
        "version": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "cuda_build": torch.version.cuda or "",
        "cuda_devices": ", ".join(names),
        "mps": torch.backends.mps.is_available(),
    }
