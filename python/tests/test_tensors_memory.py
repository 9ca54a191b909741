"""Loading and writing take no memory of the model's size: peaks of a process of its own (Linux)."""

import os

import pytest
from tensor_files import run_python

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not os.access("/proc/self/clear_refs", os.W_OK),
        reason="needs Linux's /proc/self/clear_refs",
    ),
]

MODEL_BYTES = 64 * 2**20
MAX_EXTRA_BYTES = 4 * 2**20

PREPARE = f"""if True:
    import mmap, torch
    from torchbed.tensors import load_state_dict_from, plan_layout, tensor_views, write_tensors

    def peak_of(run):
        run()  # the first time imports things
        open("/proc/self/clear_refs", "w").write("5")  # forgets the peak so far
        before = peak()
        run()
        return peak() - before

    def peak():
        line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    torch.set_num_threads(1)
    tensors = {{str(i): torch.ones({MODEL_BYTES} // 64) for i in range(16)}}
    tensors["transposed"] = torch.ones(1024, 1024).t()
    layout = plan_layout(tensors)
    memory = bytearray(b"1") * layout.total_bytes
    write = lambda: write_tensors(layout, tensors, memory)
    write()
    load = lambda: load_state_dict_from(memory, tensors)
"""


def peak_of(code: str) -> int:
    done = run_python(f"{PREPARE}    print(peak_of({code}))")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("code", ["load", "write", "lambda: tensor_views(memory)"])
def test_loading_and_writing_take_little_beside_the_model_and_the_file(code: str) -> None:
    assert peak_of(code) < MAX_EXTRA_BYTES


def test_the_peak_of_a_copy_would_be_seen() -> None:
    assert peak_of("lambda: bytes(memory)") > MODEL_BYTES
