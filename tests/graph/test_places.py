"""The whole graph in a workspace whose name has the characters that shells, URIs and databases read as their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from clone import SHRUNK, Clone, copy_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dvc"), pytest.mark.timeout(1800)]
NAME = "ä 🐈 [b] #?%'\"&;"
METHODS = {"zero-shot": {"train": False}, "croft": {}}
PREDICT = """
import mlflow, pandas as pd, pathlib
from pipeline.tracking.client import tracking_uri
mlflow.set_tracking_uri(tracking_uri(pathlib.Path.cwd()))
model = mlflow.pyfunc.load_model("models:/croft@champion")
image = min(pathlib.Path("data/builtin/digits").rglob("*.png")).read_bytes()
print("label:", model.predict(pd.DataFrame({"image": [image]}))["label"].item())
"""


def test_a_model_is_made_and_predicts_in_a_folder_of_any_usual_name(tmp_path: Path) -> None:
    clone = Clone(tmp_path / NAME, tmp_path / "unused.db")
    del clone.env["MLFLOW_TRACKING_URI"], clone.env["PREFECT_HOME"]  # the stores of the workspace
    copy_project(clone.folder)
    clone.set(**SHRUNK)
    clone.set(split={"seeds": [1], "targets": ["ink"]}, finetune={"methods": METHODS})
    out = clone.run("croft", "run", seconds=1700).stdout
    assert "croft version 1 is champion" in out
    assert "label:" in clone.run("python", "-c", PREDICT).stdout
    assert [path.name for path in tmp_path.iterdir()] == [NAME]  # nothing at a path that was read wrongly
    stores = {path.relative_to(clone.folder).as_posix() for path in clone.folder.rglob("*.db")}
    assert stores == {".croft/mlflow.db", ".croft/prefect/prefect.db"}
    assert not (clone.folder / "mlruns").exists()
