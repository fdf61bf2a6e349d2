"""A registered model loads wherever its workspace went, and in a process that has a `pipeline` of its own."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.registry.files import model_files
from pipeline.registry.register import register_model
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect, tracking_uri
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}
LOAD = """
import sys, warnings
warnings.simplefilter("ignore")
import pipeline  # where there is one
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/croft@challenger")
print(model.predict(pandas.DataFrame({"image": [open(sys.argv[2], "rb").read()]}))["class"].item())
print(getattr(pipeline, "OWN", ""))
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Path:
    """A workspace with a registered model, whose class is the strongest colour."""
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "workspace"
    write_tiny_model(root / "export")
    with stage_run("register", started=time.time(), params={}, out=None, root=root) as run:
        register_model(root / "export", name="croft", run_id=run.run_id, tags={}, metrics=METRICS, root=root)
    return root


def answer(root: Path, elsewhere: Path) -> list[str]:
    """What a process in another folder predicts for a green image."""
    elsewhere.mkdir(exist_ok=True)
    if not (elsewhere / "pipeline.py").exists():
        script = LOAD.replace("import pipeline  # where there is one\n", "pipeline = None\n")
    else:
        script = LOAD
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (10, 250, 10)).save(stream, format="PNG")
    (elsewhere / "green.png").write_bytes(stream.getvalue())
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", URI_VARIABLE)}
    command = [sys.executable, "-c", script, tracking_uri(root), "green.png"]
    done = subprocess.run(
        command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_where_it_was_made(workspace: Path, tmp_path: Path) -> None:
    assert answer(workspace, tmp_path / "elsewhere") == ["green", ""]


@pytest.mark.parametrize("how", ["moved", "renamed", "copied"])
def test_a_workspace_that_went_elsewhere(workspace: Path, tmp_path: Path, how: str) -> None:
    target = tmp_path / "other" / "workspace" if how == "moved" else tmp_path / "new"
    target.parent.mkdir(exist_ok=True)
    if how == "copied":  # and the original is gone by the time the copy is used
        shutil.copytree(workspace, target)
        shutil.rmtree(workspace)
    else:
        workspace.rename(target)
    connect(target)  # as every croft command does first
    assert answer(target, tmp_path / "elsewhere") == ["green", ""]
    files = model_files("croft", "challenger", root=target)
    assert files.graph.is_relative_to(target / ".croft")


def test_a_process_with_a_pipeline_of_its_own(workspace: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pipeline.py").write_text("OWN = 'mine'\n")
    assert answer(workspace, elsewhere) == ["green", "mine"]
