"""Hundreds of healthy flow runs beside a reconciliation that never rests: none is ever taken for dead."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from pipeline.flows.dead import end_dead_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RUNS, AT_A_TIME = 200, 4
ROOT = Path(__file__).resolve().parents[2]
# Each run has a process of its own, which ends right after the run: that is when a look at both can go wrong.
FORKS = f"""
import multiprocessing, os, time


def run():
    from prefect import flow
    from pipeline.flows.dead import replace_dead_runs
    from pipeline.flows.start import start

    @flow(name="healthy", persist_result=False)
    def healthy():
        replace_dead_runs()

    start(healthy, None)
    os._exit(0)  # at once


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.flows.dead", "pipeline.flows.start"])
    at_work, begun, failed = [], 0, 0
    while begun < {RUNS} or at_work:
        for process in [process for process in at_work if not process.is_alive()]:
            failed += process.exitcode != 0
            at_work.remove(process)
        while begun < {RUNS} and len(at_work) < {AT_A_TIME}:
            process = context.Process(target=run)
            process.start()
            at_work.append(process)
            begun += 1
        time.sleep(0.005)
    raise SystemExit(failed)
"""


def test_no_living_or_finished_flow_run_is_marked_as_crashed(client: SyncPrefectClient, tmp_path: Path) -> None:
    script, log = tmp_path / "forks.py", tmp_path / "log"
    script.write_text(FORKS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_LEVEL": "ERROR"}
    looks, said = 0, []
    with log.open("wb") as output:
        forks = subprocess.Popen([sys.executable, script], cwd=tmp_path, env=environment, stdout=output, stderr=output)
        try:
            while forks.poll() is None:
                said += end_dead_runs()
                looks += 1
        finally:
            forks.terminate()
            forks.wait(30)
    assert forks.returncode == 0, log.read_text()[-3000:]
    assert said == []
    assert looks > RUNS
    states: Counter[str] = Counter()
    while runs := client.read_flow_runs(limit=200, offset=states.total()):
        states.update(str(run.state_name) for run in runs)
    assert states == {"Completed": RUNS}
