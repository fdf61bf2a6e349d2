"""Hundreds of healthy runs beside a reconciliation that never rests: none is ever taken for dead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.parents import close_stale_parents
from pipeline.tracking.runs import PARENT_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RUNS, AT_A_TIME = 200, 8
ROOT = Path(__file__).resolve().parents[2]
# Each run has a process of its own, which ends right after the run: that is when a look at both can go wrong.
FORKS = f"""
import multiprocessing, os, time
from pathlib import Path
from pipeline.tracking.parents import close_parent, open_parent
from pipeline.tracking.runs import stage_run


def run(number):
    started = time.time()
    if number % 4 == 0:
        close_parent(open_parent("train"))
    else:
        with stage_run("stage", started=started, params={{"number": number}}, out=None) as made:
            made.log(metrics={{"number": float(number)}})
    os._exit(0)  # at once


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"])
    at_work, begun, failed = [], 0, 0
    while begun < {RUNS} or at_work:
        for process in [process for process in at_work if not process.is_alive()]:
            failed += process.exitcode != 0
            at_work.remove(process)
        while begun < {RUNS} and len(at_work) < {AT_A_TIME}:
            process = context.Process(target=run, args=(begun,))
            process.start()
            at_work.append(process)
            begun += 1
        time.sleep(0.005)
    raise SystemExit(failed)
"""


def test_no_living_or_finished_run_is_marked_as_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    close_stale_parents()  # makes the database
    (tmp_path / "forks.py").write_text(FORKS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    looks, closed, deadline = 0, [], time.monotonic() + 500
    with subprocess.Popen([sys.executable, "forks.py"], cwd=tmp_path, env=environment) as forks:
        while forks.poll() is None:
            closed += close_stale_parents()
            looks += 1
            if time.monotonic() > deadline:
                forks.kill()
    assert forks.returncode == 0
    assert closed == []
    client = connect(tmp_path)
    (experiment,) = [found.experiment_id for found in client.search_experiments() if found.name == "croft"]
    runs = client.search_runs([experiment], max_results=1000)
    assert Counter(run.info.status for run in runs) == {"FINISHED": RUNS}
    assert looks > RUNS / 10
