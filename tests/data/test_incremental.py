"""What was read is not read again, and what is remembered never changes the result."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data.manifest import Inventory, build_manifest
from pipeline.data.reading import _racy, read_image
from pipeline.errors import DataError
from pipeline.params import Data
from pipeline.tables import MANIFEST, write_table

TICK = 0.05  # seconds after which a file is old enough to be remembered


def build(root: Path, record: Path | None, **options: object) -> Inventory:
    settings = {"min_side": 16, "max_pixels": 10_000, "workers": 2, **options}
    return build_manifest(Data(root=str(root), **settings), record=record)


def written(found: Inventory, folder: Path) -> bytes:
    write_table(found.manifest, folder / "manifest.parquet", MANIFEST)
    return (folder / "manifest.parquet").read_bytes()


class Opened:
    """Files below a folder that this process opens, as the interpreter's audit events say."""

    def __init__(self) -> None:
        self.root = ""
        self.names: list[str] = []
        sys.addaudithook(self._hook)  # there is no way to take a hook out again

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and self.root and str(arguments[0]).startswith(self.root):
            self.names.append(str(arguments[0]).removeprefix(self.root))


@pytest.fixture(scope="session")
def hook() -> Opened:
    return Opened()


@pytest.fixture
def opened(hook: Opened, tree: Path) -> Iterator[Callable[[], list[str]]]:
    """Gives the images that were opened since it was last called."""

    def since() -> list[str]:
        names, hook.names = sorted(hook.names), []
        return names

    hook.root, hook.names = f"{tree}/", []
    yield since
    hook.root = ""


@pytest.fixture
def record(tree: Path, tmp_path: Path) -> Path:
    """A record of the whole tree."""
    time.sleep(TICK)
    assert build(tree, tmp_path / "state" / "read.sqlite").read == 8
    return tmp_path / "state" / "read.sqlite"


def test_unchanged_files_are_not_opened(tree: Path, record: Path, opened: Callable[[], list[str]]) -> None:
    opened()
    again = build(tree, record)
    assert (again.read, opened()) == (0, [])
    assert written(again, tree.parent) == written(build(tree, None), tree.parent)


def paint(path: Path, seed: int, size: tuple[int, int] = (24, 20)) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "touched": (lambda p: os.utime(p, (1, 1)), False),
    "copied": (lambda p: (shutil.copy2(p, p.with_name("x")), os.replace(p.with_name("x"), p)), False),
    "rewritten": (lambda p: paint(p, 99), True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_alone_is_read_again(
    tree: Path, record: Path, opened: Callable[[], list[str]], change: str
) -> None:
    before = build(tree, None).manifest
    act, other = CHANGES[change]
    act(tree / "b/cat/1.png")
    opened()
    found = build(tree, record)
    assert opened() == ["b/cat/1.png"]
    assert found.manifest.equals(build(tree, None).manifest)
    assert found.manifest.equals(before) is not other


def test_another_image_of_equal_size_inode_and_time_is_seen(tree: Path, tmp_path: Path) -> None:
    file = tree / "a/cat/x.bmp"
    paint(file, 1)
    time.sleep(TICK)
    before = build(tree, tmp_path / "r").manifest
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    with file.open("r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_ino, after.st_mtime_ns) == (status.st_size, status.st_ino, status.st_mtime_ns)
    found = build(tree, tmp_path / "r")
    assert not found.manifest.equals(before)
    assert found.manifest.equals(build(tree, None).manifest)


def test_only_new_images_are_read(tree: Path, record: Path, opened: Callable[[], list[str]]) -> None:
    paint(tree / "a/dog/new.png", 50)
    (tree / "b/dog/0.png").unlink()
    opened()
    found = build(tree, record)
    assert opened() == ["a/dog/new.png"]
    assert found.manifest.equals(build(tree, None).manifest)


def test_other_limits_give_what_they_give_without_a_record(tree: Path, record: Path) -> None:
    for number, size in enumerate([(18, 40), (40, 18), (17, 16)]):
        paint(tree / "a/cat" / f"size{number}.png", number, size)
    time.sleep(TICK)
    assert build(tree, record).read == 3
    for limits in ({"min_side": 17}, {"max_pixels": 700}, {"min_side": 19, "max_pixels": 500}, {}):
        found, fresh = (
            build(tree, record, on_bad_image="skip", **limits),
            build(tree, None, on_bad_image="skip", **limits),
        )
        assert found.manifest.equals(fresh.manifest)
        assert found.refused.equals(fresh.refused)
        assert found.read == len(fresh.refused)
        assert bool(found.read) == bool(limits)


def test_a_bad_image_loses_nothing_that_was_read(tree: Path, record: Path, opened: Callable[[], list[str]]) -> None:
    record.unlink()
    good = (tree / "a/cat/0.png").read_bytes()
    (tree / "a/cat/0.png").write_bytes(good[:200])
    time.sleep(TICK)
    with pytest.raises(DataError, match=r"1 bad image.*a/cat/0\.png: damaged"):
        build(tree, record)
    (tree / "a/cat/0.png").write_bytes(good)
    opened()
    assert build(tree, record).read == 1
    assert opened() == ["a/cat/0.png"]


def test_facts_of_other_code_are_forgotten(tree: Path, record: Path) -> None:
    with sqlite3.connect(record) as file:
        file.execute("UPDATE images SET sha256 = 'wrong'")
        file.execute("UPDATE version SET version = 'of an older decoder'")
    file.close()
    found = build(tree, record)
    assert found.read == 8
    assert found.manifest.equals(build(tree, None).manifest)


def test_roots_share_a_record_without_mixing(tree: Path, record: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "other")
    paint(tmp_path / "other/a/cat/0.png", 77)
    time.sleep(TICK)
    assert build(tmp_path / "other", record).read == 8
    assert build(tmp_path / "other", record).read == build(tree, record).read == 0
    assert not build(tmp_path / "other", record).manifest.equals(build(tree, record).manifest)


def test_a_file_that_is_no_record_is_named(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_bytes(b"garbage " * 1000)
    with pytest.raises(
        DataError, match=r"r\.sqlite: cannot use the record of images that were read .*; .*remove the file"
    ):
        build(tree, tmp_path / "r.sqlite")


def test_a_file_changed_within_the_clocks_tick_is_not_remembered(tree: Path) -> None:
    file = tree / "a/cat/0.png"
    stamp = int(time.time() + 100) * 10**9  # in whole seconds, as some file systems keep it
    os.utime(file, ns=(stamp, stamp))
    assert read_image("a/cat/0.png", Data(root=str(tree), max_pixels=10_000))[1] == ""
    assert _racy(file.stat(), stamp + 1_900_000_000)
    assert not _racy(file.stat(), stamp + 2_100_000_000)
    os.utime(file, ns=(stamp, stamp + 5))
    assert _racy(file.stat(), stamp + 15_000_000)
    assert not _racy(file.stat(), stamp + 25_000_000)


def test_order_on_disk_and_times_do_not_matter(tree: Path, tmp_path: Path) -> None:
    expected = written(build(tree, None), tmp_path)
    files = sorted(path for path in tree.rglob("*.png"))
    for seed in range(3):
        random.Random(seed).shuffle(files)
        other = tmp_path / f"{seed}" / "images"
        for number, file in enumerate(files):
            target = other / file.relative_to(tree)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            os.utime(target, (number, number))
        assert written(build(other, None, workers=1 + seed), tmp_path) == expected


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.data.manifest import build_manifest
from pipeline.params import Data
root, record, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
count = 0
def hook(event, arguments):
    global count
    if event == "open" and str(arguments[0]).startswith(f"{root}/"):
        count += 1
        if count > most:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
build_manifest(Data(root=str(root), min_side=16, max_pixels=10_000, workers=1), record=record)
"""


def test_a_kill_loses_only_what_was_under_way(tree: Path, tmp_path: Path) -> None:
    for number in range(300):
        paint(tree / "a/cat" / f"{number:03d}.png", number)
    time.sleep(TICK)
    record = tmp_path / "read.sqlite"
    command = [sys.executable, "-c", KILLED, str(tree), str(record), "250"]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with sqlite3.connect(record) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    file.close()
    found = build(tree, record)
    # 8 tasks of 16 images may be under way, and one more finished but not yet stored
    assert 308 - 250 <= found.read <= 308 - 250 + 9 * 16
    assert written(found, tmp_path) == written(build(tree, None), tmp_path)
