"""Write the source text of Python's standard library as safetensors shards, once.

    python examples/bytes-gpt/prepare_bytes.py [--out out/bytes-gpt/data]

Every machine with Python has this text, so nothing is downloaded. A sixteenth of the files, chosen
by a hash of their names, is held out for validation: no held-out file has a part in training.
The bytes of the others, in the order of their names, are one long text that is cut into shards.
Equal standard libraries give equal bytes, so peers with the same version of Python hold the same
shards. Shards that are there already, with the right bytes, are left alone; others are removed.
"""

import argparse
import hashlib
import json
import os
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save

SHARD_BYTES = 512 * 1024  # at most; all shards of a part are equally long, but for one byte
HELD_OUT = 16  # one file in so many

# Tests and demos; tables and topics that are data more than code; and what Linux distributions
# put into other packages or leave out, so that equal versions have equal texts.
LEFT_OUT = {
    *("test", "tests", "idle_test", "idlelib", "turtledemo", "tkinter", "__phello__"),
    *("encodings", "pydoc_data", "lib2to3", "distutils", "ensurepip", "lib-dynload"),
    *("site-packages", "dist-packages", "__pycache__"),
}
LEFT_OUT_PREFIXES = ("config-", "_sysconfigdata")  # these differ from build to build


def source_files(library: Path) -> list[str]:
    """Return the files to read, relative to the library's folder and with slashes, sorted."""
    names = (path.relative_to(library).as_posix() for path in library.rglob("*.py"))
    return sorted(name for name in names if not is_left_out(name))


def is_left_out(name: str) -> bool:
    """Say whether a file does not belong to the text."""
    parts = name.split("/")
    return not LEFT_OUT.isdisjoint(parts) or any(p.startswith(LEFT_OUT_PREFIXES) for p in parts)


def is_held_out(name: str) -> bool:
    """Say whether a file is for validation; the same on every machine."""
    return hashlib.sha256(name.encode()).digest()[0] % HELD_OUT == 0


def shards(library: Path) -> dict[str, bytes]:
    """Return the content of every shard, by path: `bytes` uint8 [n].

    Raises FileNotFoundError for a folder that does not hold a standard library.
    """
    files = source_files(library)
    parts = {
        "train": [name for name in files if not is_held_out(name)],
        "validation": [name for name in files if is_held_out(name)],
    }
    contents: dict[str, bytes] = {}
    for part, names in parts.items():
        if not names:
            raise FileNotFoundError(
                f"no Python source for {part} in {library}; install Python's standard library, "
                "or run this with a Python that has it as files"
            )
        text = read(library, names)
        for number, piece in enumerate(np.array_split(text, -(-len(text) // SHARD_BYTES))):
            contents[f"{part}/{number:05}.safetensors"] = save({"bytes": piece})
    return contents


def read(library: Path, names: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return the bytes of some files, one after the other: uint8 [n]."""
    return np.frombuffer(b"".join((library / name).read_bytes() for name in names), dtype=np.uint8)


def write(path: Path, content: bytes) -> None:
    """Write a file. A reader sees all of it, or what was there before."""
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


def has(path: Path, content: bytes) -> bool:
    """Say whether a file is there and has this content."""
    return path.is_file() and path.read_bytes() == content


def main() -> None:
    """Prepare the data, and say on one line of JSON what was done."""
    parser = argparse.ArgumentParser(description="Write Python's source text as shards.")
    parser.add_argument("--out", type=Path, default=Path("out/bytes-gpt/data"), metavar="DIR")
    out: Path = parser.parse_args().out
    files = shards(Path(sysconfig.get_paths()["stdlib"]))
    missing = [name for name, content in files.items() if not has(out / name, content)]
    present = {path.relative_to(out).as_posix() for path in out.glob("*/*.safetensors")}
    others = sorted(present - set(files))  # of another version of Python
    if missing or others:
        # `torchbed train` wrote these beside the shards, with the hashes of the old ones.
        for name in ("dataset.json", "fetch-manifest.json"):
            (out / "train" / name).unlink(missing_ok=True)
    for name in others:
        (out / name).unlink()
    for name in missing:
        write(out / name, files[name])
    done = {
        "out": str(out),
        "train_shards": sum(name.startswith("train/") for name in files),
        "validation_shards": sum(name.startswith("validation/") for name in files),
        "bytes": sum(map(len, files.values())),
        "files_written": len(missing),
        "files_already_there": len(files) - len(missing),
        "files_removed": len(others),
    }
    print(json.dumps(done))


if __name__ == "__main__":
    main()
