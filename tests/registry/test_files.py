"""The files of a registered version, from a store on this machine and from a server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow_server import mlflow_server

from pipeline.errors import TrackingError
from pipeline.registry.files import model_files
from pipeline.registry.register import register_model
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    write_tiny_model(tmp_path / "export")
    return tmp_path


def register(root: Path) -> str:
    with stage_run("register", started=time.time(), params={}, out=None, root=root) as run:
        return register_model(root / "export", name="croft", run_id=run.run_id, tags={}, metrics=METRICS, root=root)


def test_a_local_store_gives_the_files_where_they_lie(root: Path) -> None:
    version = register(root)
    by_number, by_alias = model_files("croft", version, root=root), model_files("croft", "challenger", root=root)
    assert by_number == by_alias
    assert by_number.version == "1"
    assert by_number.graph.read_bytes() == (root / "export" / "model.onnx").read_bytes()
    assert by_number.card.read_bytes() == (root / "export" / "card.json").read_bytes()
    assert not (root / ".croft" / "models").exists()


def test_missing_files_are_named(root: Path) -> None:
    version = register(root)
    model_files("croft", version, root=root).graph.unlink()
    with pytest.raises(TrackingError, match=r"croft version 1: .*model\.onnx: no such file"):
        model_files("croft", version, root=root)
    with pytest.raises(TrackingError, match="no version or alias 'champion'"):
        model_files("croft", "champion", root=root)


def test_a_server_s_files_are_downloaded_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mlflow_server(root / "server") as server:
        monkeypatch.setenv(URI_VARIABLE, f"http://{server.host}")
        version = register(root)
        first = model_files("croft", version, root=root)
        assert first.graph.read_bytes() == (root / "export" / "model.onnx").read_bytes()
        changed = first.graph.stat().st_mtime_ns
        assert model_files("croft", "challenger", root=root) == first
        assert first.graph.stat().st_mtime_ns == changed
        (kept,) = (root / ".croft" / "models" / "croft").iterdir()
        assert kept.name.startswith(f"{version}-")


@pytest.mark.slow
def test_two_servers_have_a_version_of_the_same_number(
    root: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]
) -> None:
    found = []
    for name in ("a", "b"):
        with mlflow_server(root / name) as server:
            monkeypatch.setenv(URI_VARIABLE, f"http://{server.host}")
            write_tiny_model(root / "export", classes=("red", "green", name))
            found.append(model_files("croft", register(root), root=root))
    assert [files.version for files in found] == ["1", "1"]
    assert [json.loads(files.card.read_text())["classes"][-1] for files in found] == ["a", "b"]
