"""prepare_bytes.py: the standard library's text as shards, with real files."""
# ruff: noqa: D103 - the names of the tests are sentences

import importlib
import json
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

missing = [name for name in ("numpy", "safetensors") if find_spec(name) is None]
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]

SCRIPT = Path(__file__).with_name("prepare_bytes.py")


def prepare(out: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--out", out],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    result: dict[str, Any] = json.loads(lines[0])
    return result


@pytest.fixture
def script() -> Any:
    return importlib.import_module("prepare_bytes")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bytes") / "data"
    done = prepare(out)
    assert done["files_already_there"] == done["files_removed"] == 0
    assert done["files_written"] == done["train_shards"] + done["validation_shards"]
    return out


def text_of(folder: Path) -> bytes:
    from safetensors.numpy import load_file

    shards = [load_file(path) for path in sorted(folder.iterdir())]
    assert all(list(shard) == ["bytes"] for shard in shards)
    return b"".join(shard["bytes"].tobytes() for shard in shards)


def test_the_shards_hold_megabytes_of_bytes_in_almost_equal_pieces(data: Path) -> None:
    from safetensors.numpy import load_file

    lengths = []
    for path in (data / "train").iterdir():
        piece = load_file(path)["bytes"]
        assert (str(piece.dtype), piece.ndim) == ("uint8", 1)
        lengths.append(len(piece))
    assert 256 * 1024 < min(lengths) <= max(lengths) <= 512 * 1024
    assert max(lengths) - min(lengths) <= 1
    assert 4_000_000 < sum(lengths) < 16_000_000


def test_every_file_is_whole_in_one_part_and_in_no_other(data: Path, script: Any) -> None:
    library = Path(sysconfig.get_paths()["stdlib"])
    names = script.source_files(library)
    assert "argparse.py" in names and "json/decoder.py" in names
    texts = {False: text_of(data / "train"), True: text_of(data / "validation")}
    long_texts = 0
    for name in names:
        source = (library / name).read_bytes()
        held_out = script.is_held_out(name)
        assert source in texts[held_out], name
        if len(source) > 2000:
            assert source not in texts[not held_out], name
            long_texts += 1
    assert long_texts > 100
    assert sum(map(len, texts.values())) == sum((library / n).stat().st_size for n in names)
    assert 0.02 < len(texts[True]) / len(texts[False]) < 0.15


@pytest.mark.parametrize(
    "name",
    [
        "test/test_json.py",
        "unittest/test/test_case.py",
        "site-packages/torch/nn.py",
        "idlelib/run.py",
        "encodings/cp1252.py",
        "config-3.11-x86_64-linux-gnu/python-config.py",
        "_sysconfigdata__linux_x86_64-linux-gnu.py",
    ],
)
def test_tests_packages_and_tables_do_not_belong_to_the_text(script: Any, name: str) -> None:
    assert script.is_left_out(name)


def test_which_files_are_held_out_is_the_same_on_every_machine(script: Any) -> None:
    names = [f"module_{number}.py" for number in range(100)]
    held_out = [name for name in names if script.is_held_out(name)]
    assert held_out == [
        "module_1.py",
        "module_35.py",
        "module_53.py",
        "module_80.py",
        "module_83.py",
        "module_98.py",
    ]


def test_preparing_again_does_nothing_and_mends_what_is_damaged(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    contents = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    damaged = tmp_path / "train" / "00003.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (tmp_path / "validation" / "00000.safetensors").unlink()
    second = prepare(tmp_path)
    third = prepare(tmp_path)
    assert [each["files_written"] for each in (second, third)] == [2, 0]
    assert third["files_already_there"] == first["files_written"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == contents


def test_shards_of_another_version_are_removed_with_what_describes_them(tmp_path: Path) -> None:
    prepare(tmp_path)
    described = [tmp_path / "train" / name for name in ("dataset.json", "fetch-manifest.json")]
    for path in described:
        path.write_text("{}")
    assert prepare(tmp_path)["files_removed"] == 0
    assert all(path.exists() for path in described)
    older = tmp_path / "train" / "00099.safetensors"
    older.write_bytes(b"of an older version")
    assert prepare(tmp_path)["files_removed"] == 1
    assert not any(path.exists() for path in (older, *described))


def test_a_folder_without_source_is_refused_with_a_remedy(script: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no Python source for train in .*; install"):
        script.shards(tmp_path)
