"""`croft sweep` and DVC experiments in a clone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from clone import SHRUNK, Clone, copy_project

from pipeline.tracking.client import URI_VARIABLE, connect

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("sweep")
    clone = Clone(folder / "clone", folder / "mlflow.db")
    clone.folder.mkdir()
    copy_project(clone.folder)
    methods = {"zero-shot": {"train": False}, "croft": {}}
    clone.set(**SHRUNK, sweep={"axes": {"lambda_1": [1.0, 15.0], "lambda_2": [0.0, 1.0]}})
    clone.set(finetune={"methods": methods})
    for command in (
        ["git", "add", "-A"],
        ["git", "-c", "user.name=t", "-c", "user.email=t@e.org", "commit", "-qm", "s"],
    ):
        clone.run(*command)
    return clone


def test_a_sweep_runs_what_it_needs_and_its_configurations_are_nested_runs(clone: Clone, monkeypatch) -> None:
    out = clone.run("croft", "sweep").stdout
    assert "Best by validation images" in out
    assert clone.json("artifacts/sweep/sweep.json")["configurations"] == 4
    assert Path(clone.folder / "artifacts/sweep/report.html").stat().st_size > 1000
    assert not (clone.folder / "artifacts/fits").exists()
    monkeypatch.setenv(URI_VARIABLE, clone.env[URI_VARIABLE])
    client = connect(clone.folder)
    run = clone.json("artifacts/runs/sweep.json")
    children = client.search_runs([run["experiment_id"]], f"tags.`mlflow.parentRunId` = '{run['run_id']}'")
    assert len(children) == 4


def test_a_change_holds_for_one_sweep_and_touches_no_file_of_the_project(clone: Clone) -> None:
    before = (clone.folder / "params.yaml").read_text()
    changes = ["sweep.axes={lr: [0.01, 0.1], weight_decay: [0.0, 0.1], ratio_text: [0.2, 0.5]}", "finetune.epochs=2"]
    clone.run("croft", "sweep", *(part for change in changes for part in ("-S", change)))
    assert (clone.folder / "params.yaml").read_text() == before
    assert clone.json("artifacts/sweep/sweep.json")["configurations"] == 8
    assert set(clone.json("artifacts/sweep/sweep.json")["chosen"]) == {"lr", "weight_decay", "ratio_text"}
    used = yaml.safe_load((clone.folder / "artifacts/sweep/params.yaml").read_text())
    assert used["finetune"]["epochs"] == 2


def test_an_override_of_an_experiment_reaches_the_fits(clone: Clone) -> None:
    import json

    import pandas as pd

    changes = {"lambda_1": "3.5", "penalty_gradient": "sample", "penalty_scaled": "true", "covariate_rows": "adapter"}
    overrides = [part for key, value in changes.items() for part in ("-S", f"finetune.{key}={value}")]
    clone.run("dvc", "exp", "run", *overrides, "dvc.yaml:finetune")
    table = pd.read_parquet(clone.folder / "artifacts/fits/fits.parquet")
    own = table.loc[table["method"] == "croft", "settings"].map(json.loads)
    found = {tuple(settings[key] for key in changes) for settings in own}
    assert found == {(3.5, "sample", True, "adapter")}
