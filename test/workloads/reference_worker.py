"""A worker as the reference describes it (spec worker-protocol), for hosts that are tested with it.

It has the manners of that worker on purpose: imports the factory before it connects, writes a
response as two small writes on a socket without TCP_NODELAY, knows no token, no cancel and no
`failure`. REFERENCE_PROTOCOL is 1 or 2.
"""

import argparse
import importlib
import json
import os
import socket
import struct
import sys
import traceback
from typing import Any

V2_CAPABILITIES = [
    "artifact_path_io",
    "diloco_checkpoint_job",
    "parameter_pack_export",
    "parameter_pack_import",
    "exact_step_budget",
]


class ReferenceWorker:
    def __init__(self, workload: Any, version: int) -> None:
        self.workload = workload
        self.version = version
        self.models: dict[str, Any] = {}
        self.created = 0

    def keep(self, state: Any) -> str:
        self.created += 1
        self.models[f"m{self.created}"] = state
        return f"m{self.created}"

    def handle(self, method: str, params: Any) -> Any:
        answer = getattr(self, f"on_{method}", None)
        if answer is None:
            raise ValueError(f"unknown method '{method}'")
        return answer(params)

    def on_hello(self, params: Any) -> Any:
        name = getattr(self.workload, "workload_name", type(self.workload).__name__)
        hello: dict[str, Any] = {"protocol_version": self.version, "workload_name": name}
        return hello if self.version == 1 else {**hello, "capabilities": V2_CAPABILITIES}

    def on_capability_probe(self, params: Any) -> Any:
        return {
            "runtime_device": self.workload.runtime_device(),
            "capability": self.workload.capability_probe(),
        }

    def on_init_model(self, params: Any) -> Any:
        return {"model_id": self.keep(self.workload.init_model(params["device"]))}

    def on_train_window(self, params: Any) -> Any:
        state = self.models[params["model_id"]]
        return {"metrics": metrics(self.workload.train_window(state, params["batches"]))}

    def on_evaluate(self, params: Any) -> Any:
        state = self.models[params["model_id"]]
        return {"metrics": metrics(self.workload.evaluate(state, params["split"]))}

    def on_apply_patch(self, params: Any) -> Any:
        hook = getattr(self.workload, "apply_patch", None)
        if hook is None:
            return {"Rejected": "python workload does not support runtime patches"}
        return hook(params)

    def on_load_model_artifact(self, params: Any) -> Any:
        state, path = self.models[params["model_id"]], params["artifact_path"]
        replacement = self.workload.load_model_artifact_path(state, path)
        if replacement is not None:
            self.models[params["model_id"]] = replacement
        return {"ok": True}

    def on_materialize_model_artifact(self, params: Any) -> Any:
        state, path = self.models[params["model_id"]], params["artifact_path"]
        self.workload.materialize_model_artifact_path(state, path)
        return {"ok": True}

    def on_release_model(self, params: Any) -> Any:
        self.models.pop(params["model_id"], None)
        return {"ok": True}

    def on_shutdown(self, params: Any) -> Any:
        return {"ok": True}


def metrics(values: dict[str, Any]) -> dict[str, Any]:
    for value in values.values():
        if not isinstance(value, bool | int | float | str):
            raise TypeError(f"unsupported metric value {value!r}")
    return values


def read_frame(connection: socket.socket) -> bytes | None:
    header = read_exactly(connection, 8)
    return None if header is None else read_exactly(connection, struct.unpack(">Q", header)[0])


def read_exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data


def write_frame(connection: socket.socket, body: bytes) -> None:
    connection.sendall(struct.pack(">Q", len(body)))
    connection.sendall(body)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("--factory", "--config-json", "--connect-host", "--connect-port"):
        parser.add_argument(name, required=True)
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    module, attr = options.factory.split(":", 1)
    factory = getattr(importlib.import_module(module), attr)
    workload = factory(json.loads(options.config_json))
    version = int(os.environ.get("REFERENCE_PROTOCOL", "2"))
    worker = ReferenceWorker(workload, version)
    connection = socket.create_connection((options.connect_host, int(options.connect_port)))
    while (frame := read_frame(connection)) is not None:
        request = json.loads(frame) if frame else None
        if not request:
            continue
        response = {"id": request["id"]}
        try:
            response |= {"ok": True, "result": worker.handle(request["method"], request["params"])}
        except Exception as error:
            response |= {"ok": False, "error": f"{error}\n{traceback.format_exc()}"}
        write_frame(connection, json.dumps(response).encode())
        if request["method"] == "shutdown":
            sys.exit()


if __name__ == "__main__":
    main()
