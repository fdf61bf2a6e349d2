"""Hundreds of healthy runs beside a reconciliation that never rests: none is ever taken for dead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from forks import beside_forks

from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.parents import close_stale_parents
from pipeline.tracking.runs import PARENT_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RUNS, AT_A_TIME = 200, 8
RUN = """
from pipeline.tracking.parents import close_parent, open_parent
from pipeline.tracking.runs import stage_run


def run(number):
    if number % 4 == 0:
        close_parent(open_parent("train"))
    else:
        with stage_run("stage", started=time.time(), params={"number": number}, out=None) as made:
            made.log(metrics={"number": float(number)})
"""


def test_no_living_or_finished_run_is_marked_as_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    close_stale_parents()  # makes the database
    preload = ["mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store"]
    closed, looks = beside_forks(tmp_path, RUN, close_stale_parents, count=RUNS, at_a_time=AT_A_TIME, preload=preload)
    assert closed == []
    client = connect(tmp_path)
    (experiment,) = [found.experiment_id for found in client.search_experiments() if found.name == "croft"]
    runs = client.search_runs([experiment], max_results=1000)
    assert Counter(run.info.status for run in runs) == {"FINISHED": RUNS}
    assert looks > RUNS / 10
