"""DVC's file of path locks after a kill."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.dvc_runner.locks import clear_stale_locks


@pytest.fixture
def rwlock(tmp_path: Path) -> Path:
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    return path


def held(pid: int) -> dict[str, object]:
    info = {"pid": pid, "cmd": "dvc repro"}
    return {"write": {"/data/out": info}, "read": {"/data/in": [info], "/data/other": [info]}}


def ended_pid() -> int:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


def test_without_a_file_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert not clear_stale_locks(tmp_path)


@pytest.mark.parametrize("text", ["", '{"write": {"/data/o', "[1]", '{"read": {"/data/in": {"pid": 1}}}'])
def test_a_damaged_file_is_removed(tmp_path: Path, rwlock: Path, text: str) -> None:
    rwlock.write_text(text)
    assert clear_stale_locks(tmp_path)
    assert not rwlock.exists()


def test_entries_of_ended_processes_go_and_those_of_living_ones_stay(tmp_path: Path, rwlock: Path) -> None:
    content = held(os.getpid())
    gone = {"pid": ended_pid(), "cmd": "dvc repro"}
    content["write"]["/data/gone"] = gone  # type: ignore[index]
    content["read"]["/data/in"].append(gone)  # type: ignore[index]
    rwlock.write_text(json.dumps(content))
    assert clear_stale_locks(tmp_path)
    assert json.loads(rwlock.read_text()) == held(os.getpid())
    assert not clear_stale_locks(tmp_path)


def test_an_ended_process_that_nobody_has_waited_for_holds_nothing(tmp_path: Path, rwlock: Path) -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    rwlock.write_text(json.dumps(held(zombie.pid)))
    assert psutil.pid_exists(zombie.pid)  # all that DVC looks at
    assert clear_stale_locks(tmp_path)
    assert json.loads(rwlock.read_text()) == {}
    zombie.wait()


def test_a_number_given_to_a_younger_process_holds_nothing(tmp_path: Path, rwlock: Path) -> None:
    rwlock.write_text(json.dumps(held(os.getpid())))
    before = psutil.Process().create_time() - 60
    os.utime(rwlock, (before, before))
    assert clear_stale_locks(tmp_path)
    assert json.loads(rwlock.read_text()) == {}


def test_a_file_that_dvc_is_editing_is_left_alone(tmp_path: Path, rwlock: Path) -> None:
    rwlock.write_text("{")
    with rwlock.with_name("rwlock.lock").open("w") as editing:
        fcntl.flock(editing, fcntl.LOCK_EX)
        assert not clear_stale_locks(tmp_path)
    assert rwlock.read_text() == "{"
