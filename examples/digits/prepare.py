"""Write the digits dataset as safetensors shards, once.

    python examples/digits/prepare.py [--out out/digits/data]

The data are the 1,797 scanned digits that scikit-learn ships: 8 x 8 pixels, ink 0..16. A fifth of
them, with as many of each digit, is held out for testing; the rest is shuffled and dealt to
16 shards. The same call gives the same bytes everywhere, so that peers who prepare their own copy
hold the same shards. Files that are there already, with the right bytes, are left alone.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

TRAIN_SHARDS = 16
TEST_SHARE = 0.2
SEED = 20_260_101  # of the split and the shuffle; another one makes another dataset
MOST_INK = 16.0


def shards() -> dict[str, bytes]:
    """Return the content of every file, by path: `images` float32 [n, 64], `labels` int64 [n]."""
    digits = load_digits()
    images: NDArray[np.float32] = (digits.data / MOST_INK).astype(np.float32)  # [1797, 64], 0..1
    labels: NDArray[np.int64] = digits.target.astype(np.int64)  # [1797], 0..9
    train_rows, test_rows = train_test_split(  # shuffles; [1437] and [360]
        np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=SEED
    )

    def shard(rows: NDArray[np.int64]) -> bytes:
        return save({"images": images[rows], "labels": labels[rows]})

    files = {"test/00000.safetensors": shard(test_rows)}
    for number, rows in enumerate(np.array_split(train_rows, TRAIN_SHARDS)):  # 89 or 90 each
        files[f"train/{number:05}.safetensors"] = shard(rows)
    return files


def write_if_different(path: Path, content: bytes) -> bool:
    """Write a file unless it has this content already. A reader never sees half of it."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)  # mkstemp makes it readable for its owner only
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def main() -> None:
    """Prepare the data, and say on one line of JSON what was done."""
    parser = argparse.ArgumentParser(description="Write the digits dataset as safetensors shards.")
    parser.add_argument("--out", type=Path, default=Path("out/digits/data"), metavar="DIR")
    out: Path = parser.parse_args().out
    files = shards()
    written = sum(write_if_different(out / name, content) for name, content in files.items())
    done = {
        "out": str(out),
        "train_shards": TRAIN_SHARDS,
        "test_shards": len(files) - TRAIN_SHARDS,
        "bytes": sum(map(len, files.values())),
        "files_written": written,
        "files_already_there": len(files) - written,
    }
    print(json.dumps(done))


if __name__ == "__main__":
    main()
