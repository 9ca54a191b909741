"""A workload for hostile surroundings, or whose hook makes them (test/long/surroundings/cells.ts).

The first batch's payload names a function of this file (`act`) and has its arguments.
"""

import hashlib
import io
import multiprocessing
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from on_cpu import OnCpu


def plain(payload: dict[str, Any]) -> dict[str, Any]:
    """Run bytecode, and the standard library's C modules."""
    import json
    import sqlite3

    (answer,) = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()
    return {"answer": json.loads(json.dumps(answer)), "prefix": sys.prefix}


def train(payload: dict[str, Any]) -> dict[str, Any]:
    """Fit y = 2x + 1."""
    import torch

    if "threads" in payload:
        torch.set_num_threads(payload["threads"])
    torch.manual_seed(1)
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x = torch.linspace(-1, 1, 64).reshape(-1, 1)  # [64, 1]
    for _ in range(100):
        optimizer.zero_grad()
        loss = (model(x) - (2 * x + 1)).square().mean()  # []
        loss.backward()
        optimizer.step()
    return {"learned": loss.item() < 1e-3, "threads": torch.get_num_threads()}


def compile_model(payload: dict[str, Any]) -> dict[str, Any]:
    """Compile a function where there is no C++ compiler."""
    import torch

    return {"sum": torch.compile(lambda x: (x * 2).sum())(torch.ones(4)).item()}


def remove_compile(payload: dict[str, Any]) -> dict[str, Any]:
    """Train where torch has no `compile`, as in builds without it."""
    import torch

    del torch.compile
    return {"has_compile": hasattr(torch, "compile"), **train(payload)}


def say(payload: dict[str, Any]) -> dict[str, Any]:
    """Print to both streams."""
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    return {"said": True}


def hashes(payload: dict[str, Any]) -> dict[str, Any]:
    """Digests of one text, by name, as hexadecimal."""
    data = payload["text"].encode()
    digests = {name: hashlib.new(name, data).hexdigest() for name in payload["names"]}
    derived = hashlib.scrypt(data, salt=b"salt", n=1024, r=8, p=1, dklen=32)
    return {**digests, "scrypt": derived.hex()}


def tls(payload: dict[str, Any]) -> dict[str, Any]:
    """Serve TLS to a client here and one of Node.js; ask the server of Node.js, too."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(payload["cert"], payload["key"])
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with server.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"python " + secured.recv(64))

    thread = threading.Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]
    print(f"PORT {port}", flush=True)
    client = ssl.create_default_context(cafile=payload["cert"])

    def ask(port: int) -> tuple[str, str]:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
            client.wrap_socket(connection, server_hostname="localhost") as secured,
        ):
            secured.sendall(b"for python")
            return secured.recv(64).decode(), str(secured.version())

    own, version = ask(port)
    other, _ = ask(payload["port"])
    thread.join()
    return {"own": own, "other": other, "version": version, "openssl": ssl.OPENSSL_VERSION}


def open_files(payload: dict[str, Any]) -> dict[str, Any]:
    """Open files until the system gives no more; they are closed with the frame."""
    files = []
    while True:
        files.append(open(os.devnull, "rb"))  # noqa: SIM115


def fork(payload: dict[str, Any]) -> dict[str, Any]:
    """Fork; `child` says what the child does."""
    pid = os.fork()
    if pid == 0:
        if payload["child"] == "leaves":
            os._exit(0)
        if payload["child"] == "works":
            print("of the child", flush=True)
            os._exit(3 if sum(range(100_000)) == 4_999_950_000 else 4)
        return {"of": "child"}
    if payload["child"] == "returns":
        return {"of": "parent", "child": pid}
    return {"of": "parent", "status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}


def daemonise(payload: dict[str, Any]) -> dict[str, Any]:
    """Start a daemon by forking twice; it leaves a file."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            with open(payload["file"], "w", encoding="utf-8") as file:
                file.write("daemon")
            os._exit(0)
        os._exit(0)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if os.path.exists(payload["file"]) and os.path.getsize(payload["file"]) == 6:
            return {"daemon": True}
        time.sleep(0.01)
    return {"daemon": False}


def _say_so() -> None:
    print("from a spawned process")


def start_processes(payload: dict[str, Any]) -> dict[str, Any]:
    """Start processes that use the standard streams, one after the other."""
    command = ["sh", "-c", "cat; echo from a command; echo its error >&2"]
    told = subprocess.run(command, check=False).returncode
    process = multiprocessing.get_context("spawn").Process(target=_say_so)
    process.start()
    process.join(15)
    return {"command": told, "process": process.exitcode}


def _square(number: int, results: Any) -> None:
    results.put(number * number)


def multiprocess(payload: dict[str, Any]) -> dict[str, Any]:
    """Compute in a process that multiprocessing starts; without `method` in the usual way."""
    context = multiprocessing.get_context(payload.get("method"))
    results = context.Queue()
    process = context.Process(target=_square, args=(12, results))
    process.start()
    answer = results.get(timeout=15)
    process.join(5)
    return {"answer": answer, "code": process.exitcode, "method": context.get_start_method()}


def change_folder(payload: dict[str, Any]) -> dict[str, Any]:
    """Change the working folder of the process."""
    os.chdir(payload["to"])
    return {"is_there": os.getcwd() == os.path.realpath(payload["to"])}


def replace_stdout(payload: dict[str, Any]) -> dict[str, Any]:
    """Put something else in the place of sys.stdout, and leave it there."""
    how = payload["how"]
    if how == "text":
        sys.stdout = io.StringIO()
    elif how == "none":
        sys.stdout = None
    else:
        sys.stdout.close()
    return {"how": how}


def enable_faulthandler(payload: dict[str, Any]) -> dict[str, Any]:
    """Enable faulthandler on the descriptor 2, as sys.stderr has none."""
    import faulthandler

    faulthandler.enable(2)
    return {"enabled": faulthandler.is_enabled()}


def leave(payload: dict[str, Any]) -> dict[str, Any]:
    """Leave the process without a word to anybody."""
    os._exit(payload["code"])


def work(payload: dict[str, Any]) -> dict[str, Any]:
    """Run bytecode for some seconds."""
    print("WORKING", flush=True)
    until = time.monotonic() + payload["seconds"]
    while time.monotonic() < until:
        sum(range(1000))
    return {"worked": True}


def identify(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer what tells one interpreter, and one call, from another."""
    return {"interpreter": f"{os.getpid()}/{id(sys.modules)}", "call": payload["call"]}


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        *(plain, train, compile_model, remove_compile, say, hashes, tls, open_files),
        *(fork, daemonise, multiprocess, change_folder, replace_stdout, enable_faulthandler),
        *(start_processes, leave, work, identify),
    )
}


class Surrounded(OnCpu):
    def init_model(self, device: str) -> dict[str, Any]:
        return {}

    def train_window(self, state: dict[str, Any], batches: list[Any]) -> dict[str, Any]:
        payload = batches[0]["payload"]
        return ACTIONS[payload["act"]](payload)

    def evaluate(self, state: dict[str, Any], split: Any) -> dict[str, Any]:
        return {}


def create_workload(config: Any) -> Surrounded:
    return Surrounded()
