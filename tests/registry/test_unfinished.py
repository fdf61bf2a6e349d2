"""A registration that is cut off leaves no half model, and the next one goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_disk import small_disk
from tiny_registration import write_export

from pipeline.errors import CroftError
from pipeline.registry.register import register_model
from pipeline.storage import explain
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

NAME = "croft"
# Registers as `register` below does, and is killed right after a call to the store.
KILLED = """
import os, signal, time
from pathlib import Path
from mlflow.tracking import MlflowClient
from pipeline.registry.register import register_model
from pipeline.tracking.runs import stage_run

real = MlflowClient.{moment}
MlflowClient.{moment} = lambda *a, **k: (real(*a, **k), os.kill(os.getpid(), signal.SIGKILL))
with stage_run("register", started=time.time(), params={{}}, out=None) as run:
    metrics = {{"croft": {{"mean": {{"accuracy": 0.8}}}}}}
    register_model(Path("artifacts/export"), name="croft", run_id=run.run_id, tags={{}}, metrics=metrics)
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def register(root: Path) -> str:
    with stage_run("register", started=time.time(), params={}, out=None, root=root) as run:
        metrics = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}
        return register_model(
            root / "artifacts/export", name=NAME, run_id=run.run_id, tags={}, metrics=metrics, root=root
        )


def models(root: Path) -> list[tuple[str, list[str]]]:
    """Status of each logged model; files of each model's folder in the store."""
    client = connect(root)
    experiment = client.get_experiment_by_name("croft").experiment_id
    known = {model.model_id: str(model.status) for model in client.search_logged_models([experiment])}
    folders = list((root / ".croft" / "mlartifacts" / "models").glob("*"))
    assert {folder.name for folder in folders} <= set(known)
    return [
        (status, sorted(path.name for path in (root / ".croft/mlartifacts/models" / model).rglob("*.onnx")))
        for model, status in known.items()
    ]


def versions(root: Path) -> list[str]:
    return [str(found.version) for found in connect(root).search_model_versions(f"name = '{NAME}'")]


def test_a_disk_that_is_full_while_registering(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        write_export(disk.folder, padding=3 * 2**20)
        connect(disk.folder).create_experiment("other")  # the database is made
        disk.fill(leave=2 * 2**20)
        with pytest.raises((CroftError, OSError)) as caught:
            register(disk.folder)
        line = explain(caught.value)
        assert line.startswith(f"{disk.folder}/.croft/mlartifacts/models/")
        assert "no space left (" in line
        assert line.endswith("free some space there, then run this again")
        assert models(disk.folder) == []
        assert versions(disk.folder) == []

        disk.free()
        assert register(disk.folder) == "1"
        assert models(disk.folder) == [("READY", ["model.onnx"])]


@pytest.mark.parametrize("name", ["model.onnx", "card.json", "parity.json"])
def test_a_missing_file_is_named_before_anything_is_logged(name: str, tmp_path: Path) -> None:
    write_export(tmp_path)
    (tmp_path / "artifacts" / "export" / name).unlink()
    with pytest.raises(CroftError, match=rf"/artifacts/export/{name}: no such file; "):
        register(tmp_path)
    assert (models(tmp_path), versions(tmp_path)) == ([], [])


def test_a_folder_of_models_that_is_read_only(tmp_path: Path) -> None:
    write_export(tmp_path)
    (tmp_path / ".croft").mkdir()
    with small_disk(tmp_path / ".croft" / "mlartifacts", 12) as disk:
        disk.lock()
        with pytest.raises((CroftError, OSError)) as caught:
            register(tmp_path)
        line = explain(caught.value) or str(caught.value)
        assert line.startswith(f"{disk.folder}/models")
        assert line.endswith(": its file system is mounted read-only; make it writable, then run this again")
        assert (models(tmp_path), versions(tmp_path)) == ([], [])
        subprocess.run(["mount", "-o", "remount,rw", str(disk.folder)], check=True, capture_output=True)
        assert register(tmp_path) == "1"
        assert models(tmp_path) == [("READY", ["model.onnx"])]


def test_a_full_disk_of_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "scratch", 4) as disk:
        write_export(tmp_path, padding=3 * 2**20)
        disk.fill(leave=2**20)
        monkeypatch.setattr("tempfile.tempdir", str(disk.folder))
        with pytest.raises((CroftError, OSError)) as caught:
            register(tmp_path)
        line = explain(caught.value) or str(caught.value)
        assert line.startswith(f"{disk.folder}/")
        assert line.endswith(" free); free some space there, then run this again")
        assert [path.name for path in disk.folder.iterdir()] == ["filler"]
        assert (models(tmp_path), versions(tmp_path)) == ([], [])


def test_a_store_that_is_read_only_is_one_line(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    write_export(made)
    assert register(made) == "1"
    with small_disk(tmp_path / "disk", 12) as disk:
        root = disk.folder / "project"
        shutil.copytree(made, root)  # a file that is open for writing could not be locked
        disk.lock()
        with pytest.raises(CroftError) as caught:
            register(root)
        assert str(caught.value) == (
            f"{root}/.croft/mlflow.db: its file system is mounted read-only; make it writable, then run this again"
        )
        assert versions(root) == ["1"]


def kill_after(call: str, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", KILLED.format(moment=call)]
    killed = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr


def test_a_process_that_is_killed_while_registering(tmp_path: Path) -> None:
    write_export(tmp_path)
    kill_after("log_model_artifacts", tmp_path)
    assert models(tmp_path) == [("PENDING", ["model.onnx"])]
    kill_after("finalize_logged_model", tmp_path)
    assert models(tmp_path) == [("READY", ["model.onnx"])]  # the second attempt's; it is no version yet
    assert versions(tmp_path) == []
    kill_after("create_model_version", tmp_path)
    assert models(tmp_path) == [("READY", ["model.onnx"])]
    assert versions(tmp_path) == ["1"]  # whole, and only without its alias

    assert register(tmp_path) == "2"
    assert models(tmp_path) == [("READY", ["model.onnx"])] * 2
    assert sorted(versions(tmp_path)) == ["1", "2"]


def test_a_registration_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    write_export(tmp_path)
    with stage_run("register", started=time.time(), params={}, out=None, root=tmp_path) as run:
        client = connect(tmp_path)
        client.create_logged_model(client.get_run(run.run_id).info.experiment_id, name=NAME, source_run_id=run.run_id)
        assert register(tmp_path) == "1"
        assert sorted(status for status, _ in models(tmp_path)) == ["PENDING", "READY"]
