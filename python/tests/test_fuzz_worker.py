"""A worker whose host sends anything answers with a typed failure, or ends. It never hangs."""

import json
import math
import socket
import struct
from pathlib import Path
from typing import Any, get_args

import pytest

pytest.importorskip("hypothesis")

from hypothesis import strategies as st
from runs import holds, runs
from test_worker import Host

from torchbed._host.failures import Code
from torchbed._worker.json_values import NotJsonError, check_json
from torchbed._worker.protocol import json_text

WORKLOAD = """
class Workload:
    def __init__(self, config): pass
    def runtime_device(self): return "python-plain"
    def init_model(self, device): return {}
    def train_window(self, state, batches): return {}
    def evaluate(self, state, split): return {}
"""

ENDING_SECONDS = 10.0

METHODS = ["hello", "capability_probe", "init_model", "train_window", "evaluate", "apply_patch"]
METHODS += ["load_model_artifact", "release_model", "open_workload", "close_workload", "__init__"]
METHODS += ["merge_candidate_models", "apply_single_root_ema", "", "\0", "a" * 10000, "dispatch"]
KEYS = ["model_id", "batches", "split", "device", "artifact_path", "session", "__proto__", ""]

TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(["\ud800", "m1", "cpu", "\0", "x" * 5000]))
JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), TEXTS), inner, max_size=4),
    ),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "id": JSONS,
        "method": st.one_of(st.sampled_from(METHODS), JSONS),
        "params": JSONS,
        "progress": st.one_of(st.booleans(), JSONS),
        "unknown": JSONS,
    },
).filter(lambda request: request and request.get("method") != "shutdown")


@pytest.fixture
def host(tmp_path: Path) -> Any:
    (tmp_path / "plain_fuzz.py").write_text(WORKLOAD)
    host = Host(tmp_path, "plain_fuzz:Workload", "{}")
    # A piece would wait for the acknowledgement of the one before.
    host.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    yield host
    host.close()


def same(one: object, other: object) -> bool:
    """Return whether two JSON values are equal, NaN being equal to itself."""
    return json.dumps(one) == json.dumps(other)


def test_every_object_is_answered_under_its_id_however_the_stream_is_cut(host: Host) -> None:
    def check(case: tuple[dict[str, Any], list[int]]) -> None:
        request, cuts = case
        body = json.dumps(request).encode()
        stream = struct.pack(">Q", len(body)) + body
        at = 0
        for size in cuts:
            host.connection.sendall(stream[at : at + size])
            at += size
        host.connection.sendall(stream[at:])
        answer = host.read()
        while "progress" in answer:
            answer = host.read()
        assert same(answer["id"], request.get("id"))
        if answer["ok"] is not True:
            assert answer["failure"]["code"] in get_args(Code)
            assert answer["error"].startswith(answer["failure"]["message"])

    cuts = st.lists(st.integers(1, 20), max_size=4)
    holds("requests to a worker", runs(150), st.tuples(REQUESTS, cuts), check)
    assert host.process.poll() is None


GARBAGE = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda body: struct.pack(">Q", len(body)) + body),
    st.sampled_from([b"[1]", b"1", b'"x"', b"true", b"[" * 100_000, b'{"a":' * 50_000]).map(
        lambda body: struct.pack(">Q", len(body)) + body
    ),
    st.sampled_from([2**31, 2**40, 2**62, 2**63, 2**64 - 1]).map(
        lambda length: struct.pack(">Q", length) + b"{}"
    ),
    st.binary(max_size=40),
)


def test_what_is_no_request_ends_the_worker_or_is_answered(tmp_path: Path) -> None:
    (tmp_path / "plain_fuzz.py").write_text(WORKLOAD)

    def check(stream: bytes) -> None:
        host = Host(tmp_path, "plain_fuzz:Workload", "{}")
        try:
            host.connection.sendall(stream)
            host.connection.shutdown(socket.SHUT_WR)
            while header := host.reader.read(8):
                json.loads(host.reader.read(struct.unpack(">Q", header)[0]))
            assert host.ended(ENDING_SECONDS) in (0, 1)
        finally:
            host.close()

    holds("garbage to a worker, a process each", runs(6, 200), GARBAGE, check)


def test_a_result_is_refused_with_its_place_or_reads_back_the_same() -> None:
    odd = st.sampled_from([1j, {1}, b"x", object(), range(2), {2: 1}, math.inf])
    values = st.recursive(
        st.one_of(JSONS, odd, st.integers(0, 9).map(lambda digit: 10**5000 + digit)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)
        ),
        max_leaves=6,
    )

    def check(value: object) -> None:
        try:
            check_json(value)
            text = json_text(value)
        except (NotJsonError, ValueError):
            return
        assert same(json.loads(text), value)

    holds("results of a worker", runs(300), values, check)


class Broken(list[int]):
    def __iter__(self) -> Any:
        raise LookupError


def test_a_list_that_cannot_be_iterated_is_refused_with_its_place() -> None:
    with pytest.raises(NotJsonError, match="raised LookupError while it was read") as caught:
        check_json({"a": [0, Broken([1])]})
    assert caught.value.path == "a[1]"
    with pytest.raises(ValueError, match="raised LookupError while it was written"):
        json_text([Broken([1])])
