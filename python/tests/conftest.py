import importlib.util
import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from torchbed._host import host
from torchbed._host.failures import Failure

_numbers = itertools.count(1)


class Caller:
    """An open session as the bridge sees it."""

    def __init__(self, session: int) -> None:
        self.session = session

    def ok(self, method: str, **params: object) -> Any:
        answered, result = host.dispatch(self.session, method, params)
        assert answered, result
        return result

    def failure(self, method: str, **params: object) -> Failure:
        answered, failure = host.dispatch(self.session, method, params)
        assert not answered, failure
        return failure  # type: ignore[return-value]

    def new_model(self) -> str:
        return str(self.ok("init_model", device="cpu")["model_id"])


class Project:
    """A folder with Python files, to be opened as a workload."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, module: str, source: str) -> str:
        path = self.root.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return str(path)

    def open(self, factory: str, config: object = None, **more: object) -> tuple[bool, Any]:
        roots = more.pop("module_search_roots", [str(self.root)])
        params = {
            "factory": factory,
            "config": config,
            "module_search_roots": roots,
            "env": {},
            **more,
        }
        return host.dispatch(host.HOST_SESSION, "open_workload", params)


@pytest.fixture(autouse=True)
def same_search_path_afterwards() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(autouse=True, scope="session")
def loop_closed_at_the_end() -> Iterator[None]:
    yield
    host._host.close()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def open_workload(project: Project) -> Iterator[Callable[..., Caller]]:
    """Opens `class W` of the given source, which gets the basic hooks where it has none."""
    opened: list[Caller] = []

    def open_(source: str, config: object = None) -> Caller:
        module = f"workload_{next(_numbers)}"
        project.write(module, BASE + textwrap.dedent(source) + "\n\nclass Whole(W, Base): pass\n")
        answered, result = project.open(f"{module}:Whole", config)
        assert answered, result
        opened.append(Caller(result["session"]))
        return opened[-1]

    yield open_
    for caller in opened:
        host.dispatch(host.HOST_SESSION, "close_workload", {"session": caller.session})


BASE = """
class Base:
    def __init__(self, config): self.config = config
    def runtime_device(self): return "python-torch-cpu"
    def capability_probe(self):
        return {
            "preferred_backends": ["python-torch-cpu"],
            "work_units_per_second": 12.5,
            "target_window_seconds": 30,
        }
    def init_model(self, device): return {"device": device, "weights": [0.0]}
    def train_window(self, state, batches): return {}
    def evaluate(self, state, split): return {}
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [
        name
        for name in ("torch", "safetensors", "sklearn")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        skip = pytest.mark.skip(reason=f"not installed: {', '.join(missing)}")
        for item in items:
            if "torch" in item.keywords:
                item.add_marker(skip)
