"""Hundreds of healthy flow runs beside a reconciliation that never rests: none is ever taken for dead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from forks import beside_forks
from prefect.client.orchestration import SyncPrefectClient

from pipeline.flows.dead import end_dead_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RUNS, AT_A_TIME = 200, 4
RUN = """
def run(number):
    from prefect import flow
    from pipeline.flows.dead import replace_dead_runs
    from pipeline.flows.start import start

    @flow(name="healthy", persist_result=False)
    def healthy():
        replace_dead_runs()

    start(healthy, None)
"""


def test_no_living_or_finished_flow_run_is_marked_as_crashed(
    client: SyncPrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "ERROR")
    preload = ["pipeline.flows.dead", "pipeline.flows.start"]
    said, looks = beside_forks(tmp_path, RUN, end_dead_runs, count=RUNS, at_a_time=AT_A_TIME, preload=preload)
    assert said == []
    assert looks > RUNS
    states: Counter[str] = Counter()
    while runs := client.read_flow_runs(limit=200, offset=states.total()):
        states.update(str(run.state_name) for run in runs)
    assert states == {"Completed": RUNS}
