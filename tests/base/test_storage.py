"""Disks that are full, read-only or not ours, as the line that says what to mend."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import Disk, small_disk

from pipeline.storage import check_writable, explain, explain_text


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 1) as mounted:
        yield mounted


def test_a_full_disk_is_named_with_what_is_free(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(OSError, match="No space left") as caught:
        (disk.folder / "model.onnx").write_bytes(bytes(2**20))
    expected = f"{disk.folder}: no space left (0.0 MB free); free some space there, then run this again"
    assert explain(caught.value, disk.folder) == expected
    wrapped = RuntimeError("a library's words")
    wrapped.__cause__ = caught.value
    assert explain(wrapped, disk.folder) == expected


def test_a_folder_that_was_copied_in_part_names_the_file_that_was_being_written(disk: Disk, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "large").write_bytes(bytes(2**21))
    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "model", disk.folder / "model")
    assert explain(caught.value).startswith(f"{disk.folder}/model/large: no space left (")


def test_a_database_on_a_full_disk_and_on_a_read_only_one(disk: Disk) -> None:
    path = disk.folder / "runs.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE runs (text)")
    disk.fill()
    with pytest.raises(sqlite3.OperationalError) as full:
        database.execute("INSERT INTO runs VALUES (?)", ("x" * 2**19,))
    database.close()
    assert explain(full.value, path).startswith(f"{path}: no space left (0.0 MB free); free some space there")
    disk.free()
    disk.lock()
    database = sqlite3.connect(path)
    with pytest.raises(sqlite3.OperationalError) as locked:
        database.execute("INSERT INTO runs VALUES ('x')")
    database.close()
    assert (
        explain(locked.value, path)
        == f"{path}: its file system is mounted read-only; make it writable, then run this again"
    )
    with pytest.raises(OSError, match="Read-only") as refused:
        check_writable(disk.folder)
    assert explain(refused.value).startswith(f"{disk.folder}: its file system is mounted read-only; make it writable")


def test_a_folder_that_is_writable_is_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "permission denied for user "),
        (errno.EDQUOT, "your disk quota is used up; free some space there"),
        (errno.EFBIG, "raise the limit (`ulimit -f`)"),
    ],
)
def test_other_refusals_of_the_system(number: int, words: str, tmp_path: Path) -> None:
    line = explain(OSError(number, "words that depend on the locale", str(tmp_path / "a")))
    assert line.startswith(f"{tmp_path}/a: ")
    assert words in line
    assert "\n" not in line


def test_what_dvc_prints(tmp_path: Path) -> None:
    text = f"Running stage 'one'\nERROR: unexpected error - [Errno 28] No space left on device: '{tmp_path}/cache'"
    assert explain_text(text).startswith(f"{tmp_path}/cache: no space left (")


@pytest.mark.parametrize(
    "error", [ValueError("no"), FileNotFoundError(errno.ENOENT, "No such file", "a"), OSError("a")]
)
def test_other_errors_are_not_explained(error: Exception) -> None:
    assert explain(error) == ""
