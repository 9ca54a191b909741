"""Loads and writes a state dict: torchbed.tensors beside the safetensors package and one memcpy.

    .venv/bin/python bench/tensors.py [size in MB, default 400] [rounds, default 9]

Every operation runs once in each round, in turns, so that a busy moment hits all of them; the table
has medians. "Fresh" memory has never been touched, so that its pages are made during the copy; that
is also what the package's results lie in. Files are in memory (/dev/shm), where that exists. The
peak is how far the resident memory rises above what it was before the operation, measured in a
process of its own (Linux).
"""

import ctypes
import mmap
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))

import safetensors
import torch
from safetensors.torch import load, load_file, save, save_file
from torchbed.tensors import load_state_dict_from, plan_layout, write_tensors

MB = 1_000_000


def model_of(megabytes: int) -> torch.nn.Module:
    """Return a model of so many MB, in float32: layers of 4.2 MB, each a matrix and a vector."""
    width = 1024
    layers = max(1, round(megabytes * MB / (4 * width * (width + 1))))
    return torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(layers)))


def operations(megabytes: int, folder: str) -> tuple[int, dict[str, Callable[[], object]]]:
    """Return the size of the file in bytes, and what is measured, by name."""
    source = model_of(megabytes).state_dict()
    target = model_of(megabytes)
    data = save(source)
    path, result = (os.path.join(folder, name) for name in ("source", "result"))
    save_file(source, path)
    memory = bytearray(data)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    def written(to: "bytearray | mmap.mmap") -> None:
        write_tensors(plan_layout(source), source, to)

    return len(data), {
        "memcpy": lambda: ctypes.memmove(address, data, len(data)),
        "memcpy, fresh": lambda: mmap.mmap(-1, len(data)).write(data),
        "load torchbed": lambda: load_state_dict_from(data, target),
        "load package, file": lambda: target.load_state_dict(load_file(path)),
        "load package, bytes": lambda: target.load_state_dict(load(data)),
        "write torchbed": lambda: written(memory),
        "write torchbed, fresh": lambda: written(mmap.mmap(-1, len(data))),
        "write package, file": lambda: save_file(source, result),
        "write package, bytes": lambda: save(source),
    }


def seconds_of(run: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def peak_of(run: Callable[[], object]) -> int:
    """Return by how many bytes the resident memory rises at most; 0 where that cannot be told."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = high_water()
        run()
        return high_water() - before
    except OSError:
        return 0


def high_water() -> int:
    """Return the peak of the resident memory, in bytes."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Measure everything; with a third argument, print the peak of that operation alone."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    torch.set_num_threads(1)  # as workloads beside an event loop do
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        size, runs = operations(megabytes, folder)
        if len(sys.argv) > 3:
            runs[sys.argv[3]]()  # the first time is not what is asked for
            print(peak_of(runs[sys.argv[3]]))
            return
        load_average = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
        print(
            f"{platform.platform()}, {os.cpu_count()} cores, load {load_average}, "
            f"python {platform.python_version()}, torch {torch.__version__}, "
            f"safetensors {safetensors.__version__}"
        )
        print(f"a file of {size / MB:.0f} MB, one thread, medians of {rounds} rounds\n")
        times: dict[str, list[float]] = {name: [] for name in runs}
        for round_ in range(rounds + 1):
            for name, run in runs.items():
                seconds = seconds_of(run)
                if round_ > 0:  # the first one warms up
                    times[name].append(seconds)
    print("operation                     ms    min    GB/s   memcpy x   peak MB")
    base = statistics.median(times["memcpy"])
    for name, taken in times.items():
        median = statistics.median(taken)
        command = [sys.executable, __file__, str(megabytes), "1", name]
        peak = int(subprocess.run(command, check=True, capture_output=True, timeout=600).stdout)
        print(
            f"{name:<24} {median * 1e3:>7.1f} {min(taken) * 1e3:>6.1f} {size / median / 1e9:>7.2f} "
            f"{median / base:>10.2f} {peak / MB:>9.1f}"
        )


if __name__ == "__main__":
    main()
