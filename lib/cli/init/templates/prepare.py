"""Makes the data: points on three arms of a spiral, and which arm each belongs to.

    python prepare.py

`torchbed train` runs this once, when data/train has no shards. Replace it by whatever makes yours:
every *.safetensors file in data/train is a shard, and what is in it is up to spirals.py. It needs
Python's standard library alone.
"""

import json
import math
import random
from array import array
from pathlib import Path

ARMS = 3
SHARDS = 6
POINTS_PER_SHARD = 240
SEED = 7


def points(count: int) -> tuple[array, array]:
    """Return positions, float32 [count, 2], and arms, int64 [count]."""
    positions, arms = array("f"), array("q")
    for _ in range(count):
        arm = random.randrange(ARMS)
        radius = random.random()
        angle = 2 * math.pi * arm / ARMS + 5 * radius + random.gauss(0, 0.15)
        positions.extend((radius * math.cos(angle), radius * math.sin(angle)))
        arms.append(arm)
    return positions, arms


def write_shard(path: Path, count: int) -> None:
    """Write a safetensors file: the length of the header, the header, the bytes of the tensors."""
    positions, arms = points(count)
    x, y = positions.tobytes(), arms.tobytes()
    header = {
        "x": {"dtype": "F32", "shape": [count, 2], "data_offsets": [0, len(x)]},
        "y": {"dtype": "I64", "shape": [count], "data_offsets": [len(x), len(x) + len(y)]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + x + y)


if __name__ == "__main__":
    random.seed(SEED)  # the same data everywhere
    data = Path(__file__).parent / "data"
    write_shard(data / "held-out" / "00000.safetensors", 600)
    for number in range(SHARDS):
        write_shard(data / "train" / f"{number:05}.safetensors", POINTS_PER_SHARD)
