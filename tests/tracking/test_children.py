"""Nested runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline.tracking.client import URI_VARIABLE, connect
from pipeline.tracking.parents import open_parent
from pipeline.tracking.runs import PARENT_VARIABLE, record_children


def test_children_are_finished_runs_under_their_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv(PARENT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    parent = open_parent("grid", root=tmp_path)
    points = [(f"{i}", {"lambda_1": float(i)}, {"accuracy": i / 10, "auroc": math.nan}) for i in range(3)]
    record_children(parent, points)
    client = connect(tmp_path)
    experiment = client.get_run(parent).info.experiment_id
    found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {run.info.run_name: (run.data.params, run.data.metrics) for run in found} == {
        "0": ({"lambda_1": "0.0"}, {"accuracy": 0.0}),
        "1": ({"lambda_1": "1.0"}, {"accuracy": 0.1}),
        "2": ({"lambda_1": "2.0"}, {"accuracy": 0.2}),
    }
