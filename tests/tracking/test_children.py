"""Nested runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pipeline import tracking


def test_children_are_finished_runs_under_their_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracking.URI_VARIABLE, f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv(tracking.PARENT_VARIABLE, raising=False)
    parent = tracking.open_parent("grid", root=tmp_path)
    points = [(f"{i}", {"lambda_1": float(i)}, {"accuracy": i / 10, "auroc": math.nan}) for i in range(3)]
    tracking.record_children(parent, points, root=tmp_path)
    client = tracking.connect(tmp_path)
    experiment = client.get_run(parent).info.experiment_id
    found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {run.info.run_name: (run.data.params, run.data.metrics) for run in found} == {
        "0": ({"lambda_1": "0.0"}, {"accuracy": 0.0}),
        "1": ({"lambda_1": "1.0"}, {"accuracy": 0.1}),
        "2": ({"lambda_1": "2.0"}, {"accuracy": 0.2}),
    }
