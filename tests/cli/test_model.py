"""`--model` means the same to predict, serve and export, and a model has one name."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from service import service

from pipeline.cli.model import choose_model
from pipeline.errors import CheckpointError, TrackingError
from pipeline.registry.register import register_model
from pipeline.registry.versions import CHAMPION, open_registry
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

ROOT = Path(__file__).resolve().parents[2]
METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Path:
    """A project with a champion, version 1, and an export of another model."""
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    with stage_run("register", started=time.time(), params={}, out=None) as run:
        folder = write_tiny_model(tmp_path / "first")
        version = register_model(folder, name="croft", run_id=run.run_id, tags={}, metrics=METRICS)
    open_registry(tmp_path)[0].set_registered_model_alias("croft", CHAMPION, version)
    write_tiny_model(tmp_path / "artifacts" / "export", classes=("a", "b", "c"), threshold=-9.0)
    Image.new("RGB", (12, 9), (255, 0, 0)).save(tmp_path / "red.png")
    return tmp_path


def croft(project: Path, *arguments: str, status: int = 0) -> tuple[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_TRACKING", "CROFT"))}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments], cwd=project, env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def version_of(folder: Path) -> str:
    return hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()[:12]


def test_files_and_versions(project: Path) -> None:
    export = Path("artifacts/export")
    folder, graph = choose_model("artifacts/export"), choose_model("artifacts/export/model.onnx")
    assert folder == graph == (export / "model.onnx", export / "card.json", "croft", version_of(export), False)
    number, alias = choose_model("1"), choose_model("champion")
    assert number == alias
    assert str(alias) == "croft/1"
    assert alias.registered
    assert alias.graph.read_bytes() == (project / "first" / "model.onnx").read_bytes()
    (project / "champion").mkdir()
    with pytest.raises(CheckpointError, match="--model champion: expected a version number"):
        choose_model("champion")  # a folder without a model is no alias
    with pytest.raises(TrackingError, match=r"no version or alias .9.; .*for files: --model artifacts/export"):
        choose_model("9")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "classes"), [("champion", "red"), ("1", "red"), ("artifacts/export/model.onnx", "a")]
)
def test_predict_serve_and_export_find_the_same_model(project: Path, model: str, classes: str) -> None:
    version = version_of(project / "artifacts" / "export") if "/" in model else "1"
    out, _ = croft(project, "predict", "red.png", "--model", model, "--csv", "--device", "cpu")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["model"], row["class"], row["error"]) == (f"croft/{version}", classes, "")
    with service(model, project) as served, served.client() as client:
        about = client.get("/model").json()
        assert (about["name"], about["version"], about["classes"][0]) == ("croft", version, classes)
        assert about["alias"] == ("champion" if model == "champion" else None)
    out, _ = croft(project, "export", "--triton", "repository", "--model", model)
    assert out == "Triton: repository/croft holds version 1\n"  # which must be a number
    assert json.loads((project / "repository/croft/card.json").read_text())["classes"][0] == classes
    out, _ = croft(project, "card", model, "--json")
    assert json.loads(out)["version"] == version


@pytest.mark.parametrize("command", [("predict", "red.png"), ("serve", "--port", "0"), ("export", "--triton", "x")])
def test_what_is_no_model_is_the_same_line_for_all(project: Path, command: tuple[str, ...]) -> None:
    expected = "expected a version number, an alias, a folder with model.onnx, or an .onnx file"
    _, err = croft(project, *command, "--model", "first/..", status=2)
    assert err.splitlines()[-1].startswith("error: --model ")
    assert err.splitlines()[-1].endswith(expected)
