"""SIGKILL during any stage, and a new start, end in the numbers of a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from clone import SHRUNK, STAGES, Clone, copy_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]
# Long enough to be inside the stage's own work for some stages, and inside its imports for others.
DELAYS = {"digits": 2.0, "featurize": 7.0, "finetune": 6.0, "evaluate": 6.0, "export": 12.0, "register": 6.0}


def kill_during(clone: Clone, stage: str, command: list[str]) -> None:
    """Start `command` and kill its first process once `stage` has begun."""
    log = clone.folder.parent / f"{clone.folder.name}-{stage}.log"
    with log.open("w") as file:
        run = subprocess.Popen(command, cwd=clone.folder, env=clone.env, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 240
        while f"{stage}':" not in log.read_text():
            assert run.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        time.sleep(DELAYS.get(stage, 3.0))
        assert run.poll() is None, f"{stage} was over before it was killed:\n{log.read_text()[-2000:]}"
    finally:
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
        run.wait(timeout=10)
    deadline = time.monotonic() + 15
    while (left := clone.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


@pytest.mark.parametrize("command", [["croft", "run"], ["dvc", "repro"]], ids=["croft run", "dvc repro"])
def test_killed_in_every_stage_and_started_again(fresh, store, tmp_path, command):
    clone = Clone(tmp_path / "clone", store)
    copy_project(clone.folder)
    clone.set(**SHRUNK)
    for stage in ["digits", *STAGES]:
        kill_during(clone, stage, command)
    clone.run(*command)
    assert clone.json("artifacts/evaluation/metrics.json") == fresh.json("artifacts/evaluation/metrics.json")
    for output in ("artifacts/manifest.parquet", "artifacts/splits.parquet", "artifacts/features/clean.npy"):
        assert (clone.folder / output).read_bytes() == (fresh.folder / output).read_bytes()
    assert "up to date" in clone.run("dvc", "status").stdout
