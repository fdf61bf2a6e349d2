"""`croft run` behind a proxy, with a server that dies, on a full disk, on a read-only one: what it prints."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow_server import mlflow_server
from small_disk import small_disk

pytestmark = pytest.mark.slow
PATIENCE = 300.0  # seconds; only reached when something is broken

Project = Callable[..., Path]
Croft = Callable[..., "subprocess.Popen[str]"]


def test_a_server_that_dies_in_a_stage_does_not_hide_what_failed_first(
    project: Project, croft: Croft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project({"one": {"cmd": "touch begun; while test ! -e dead; do sleep 0.1; done; exit 3", "outs": ["a"]}})
    with mlflow_server(tmp_path / "server") as server:
        run = croft(root, "run", MLFLOW_TRACKING_URI=f"http://{server.host}")
        end = time.monotonic() + PATIENCE
        while not (root / "begun").exists():
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < end
            time.sleep(0.1)
        server.kill()
        (root / "dead").touch()
        out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2, out + err
    first, second = err.splitlines()[-2:]
    assert first == "error: stage 'one' failed with exit status 3; its output is above"
    assert second.startswith("note: MLflow run ")
    assert f"is still open: http://{server.host}: tracking failed (" in second
    assert "Traceback" not in out + err


def test_a_disk_that_fills_up_in_a_stage_is_named_and_the_next_run_goes_on(
    project: Project, croft: Croft, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 40) as disk:
        fill = "test -e good || head -c 60000000 /dev/zero > filler; echo 1 > one.txt"
        root = project({"one": {"cmd": fill, "outs": ["one.txt"]}}, disk.folder)
        out, err = (run := croft(root, "run")).communicate(timeout=PATIENCE)
        assert run.returncode == 2, out + err
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, out + err
        assert f"error: stage 'one' failed: {root}: no space left (" in lines[0]
        assert "free some space there, then run this again" in lines[0]
        assert "Traceback" not in out + err

        (root / "filler").unlink()
        (root / "good").touch()
        out, err = (run := croft(root, "run")).communicate(timeout=PATIENCE)
        assert run.returncode == 0, out + err
        assert "1 stage executed (" in out


def test_a_project_that_cannot_be_written_to_is_one_line(project: Project, croft: Croft, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        root = project({"one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}}, disk.folder)
        disk.lock()
        out, err = (run := croft(root, "run")).communicate(timeout=PATIENCE)
    assert run.returncode == 2, out + err
    assert err == (
        f"error: {root}/.croft: its file system is mounted read-only; make it writable, then run this again\n"
    )
    assert "Traceback" not in out


def test_a_run_behind_a_proxy_that_leads_nowhere(project: Project, croft: Croft) -> None:
    root = project({"one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}})
    dead = "http://127.0.0.1:9"  # the discard port: nobody listens
    out, err = (run := croft(root, "run", HTTP_PROXY=dead, http_proxy=dead, NO_PROXY="localhost")).communicate(
        timeout=PATIENCE
    )
    assert run.returncode == 0, out + err
    assert "1 stage executed (" in out
