"""`croft run` as a person starts it, on a small graph: Prefect's own API, MLflow's own database, the real dvc."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow
PATIENCE = 300.0  # seconds; only reached when something is broken

Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def parents(root: Path) -> list[str]:
    return [row[0] for row in query(root / ".croft/mlflow.db", "SELECT status FROM runs ORDER BY start_time")]


def states(root: Path) -> list[dict[str, str]]:
    """The state of each stage as the parent runs carry it, oldest run first."""
    found: dict[str, dict[str, str]] = {}
    sql = "SELECT run_uuid, t.key, t.value FROM runs LEFT JOIN tags t USING (run_uuid) ORDER BY start_time"
    for run, key, value in query(root / ".croft/mlflow.db", sql):
        of_run = found.setdefault(run, {})
        if key.startswith("stage.") and key.endswith(".state"):
            of_run[key.removeprefix("stage.").removesuffix(".state")] = value
    return list(found.values())


def of_run(root: Path) -> list[psutil.Process]:
    """Every process that works for a run in this folder: they all carry its Prefect home."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if one.pid != os.getpid() and str(root) in one.environ().get("PREFECT_HOME", ""):
                found.append(one)
    return found


def test_a_failure_names_the_stage_and_the_next_run_goes_on_from_there(project: Project, croft: Croft) -> None:
    root = project(
        {
            "one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]},
            "two": {"cmd": "test -e good || exit 3; cp one.txt two.txt", "deps": ["one.txt"], "outs": ["two.txt"]},
            "three": {"cmd": "cp two.txt three.txt", "deps": ["two.txt"], "outs": ["three.txt"]},
        }
    )
    out, err = (run := croft(root, "run")).communicate(timeout=PATIENCE)
    assert run.returncode == 2, out + err
    assert err.splitlines()[-1] == "error: stage 'two' failed with exit status 3; its output is above"
    assert "Traceback" not in out + err
    assert "> echo 1 > one.txt" in out
    assert not (root / "three.txt").exists()
    assert parents(root) == ["FAILED"]
    assert states(root) == [{"one": "executed"}]

    (root / "good").touch()
    out, err = (run := croft(root, "run")).communicate(timeout=PATIENCE)
    assert run.returncode == 0, out + err
    assert "2 stages executed (" in out
    assert states(root)[1] == {"one": "up-to-date", "two": "executed", "three": "executed"}

    out, err = (run := croft(root, "run", "two")).communicate(timeout=PATIENCE)
    assert run.returncode == 0, out + err
    assert "0 stages executed: everything is up to date (" in out
    assert "Running stage" not in out
    assert parents(root) == ["FAILED", "FINISHED", "FINISHED"]
    assert states(root)[2] == {"one": "up-to-date", "two": "up-to-date"}
    flows = query(root / ".croft/prefect/prefect.db", "SELECT state_type FROM flow_run ORDER BY created")
    assert flows == [("FAILED",), ("COMPLETED",), ("COMPLETED",)]
    tasks = query(root / ".croft/prefect/prefect.db", "SELECT name, state_type FROM task_run ORDER BY start_time")
    expected = ["one", "two", "one", "two", "three", "one", "two"]
    assert tasks == [(name, "FAILED" if place == 1 else "COMPLETED") for place, name in enumerate(expected)]
    assert of_run(root) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process_no_lock_and_no_open_parent(
    project: Project, croft: Croft, number: signal.Signals
) -> None:
    slow = "echo $$ > pid; test -e go || sleep 600; echo 1 > one.txt"
    root = project({"one": {"cmd": slow, "outs": ["one.txt"]}})
    run = croft(root, "run")
    end = time.monotonic() + PATIENCE
    while not ((root / "pid").is_file() and (root / "pid").read_text().strip()):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    assert len(of_run(root)) >= 4  # the API, dvc, the shell, its sleep
    run.send_signal(number)
    run.communicate(timeout=PATIENCE)
    assert run.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    end = time.monotonic() + 30
    while of_run(root):
        assert time.monotonic() < end, of_run(root)
        time.sleep(0.1)
    if number != signal.SIGKILL:
        assert parents(root) == ["KILLED"]
        return
    assert parents(root) == ["RUNNING"]
    run_pid = run.pid
    (root / "go").touch()
    out, err = (run := croft(root, "run")).communicate(timeout=PATIENCE)
    assert run.returncode == 0, out + err
    (dead,) = query(root / ".croft/prefect/prefect.db", "SELECT name FROM flow_run ORDER BY created LIMIT 1")
    assert re.search(
        rf"^flow run {dead[0]} \(train, started [-0-9 :]+ UTC\) is marked as crashed: its process {run_pid} is gone$",
        out,
        re.MULTILINE,
    ), out
    assert re.search(r"^MLflow run [0-9a-f]{32} is marked as killed: its process is gone$", out, re.MULTILINE), out
    states_of_flows = query(root / ".croft/prefect/prefect.db", "SELECT state_type FROM flow_run ORDER BY created")
    assert states_of_flows == [("CRASHED",), ("COMPLETED",)]
    assert parents(root) == ["KILLED", "FINISHED"]
    assert (root / "one.txt").read_text() == "1\n"
