"""A password in MLFLOW_TRACKING_URI is in nothing that a run prints or writes, whether the server answers or not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from mlflow_server import mlflow_server
from tiny_registration import STAGE, write_export

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Pl4ntedS3cret"

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"register": STAGE}}))
    params = (ROOT / "params.yaml").read_text()
    (root / "params.yaml").write_text(params)
    for name in (yaml.safe_load(params)["data"]["root"], yaml.safe_load(params)["backbone"]["weights"]):
        (root / name).mkdir(parents=True)
    write_export(root)
    return root


def croft(root: Path, uri: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT", "PREFECT"))}
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=root,
        env={**kept, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def holders(folder: Path) -> Iterator[Path]:
    """The files in which the secret stands, compressed ones and databases included as they are."""
    for path in folder.rglob("*"):
        if path.is_file() and SECRET.encode() in path.read_bytes():
            yield path


def test_the_search_finds_a_planted_secret(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0" + SECRET.encode() + b"\0")
    assert [path.name for path in holders(tmp_path)] == ["file"]


def test_a_run_with_a_server_writes_no_password(root: Path, tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "server") as server:
        uri = f"http://croft:{SECRET}@{server.host}"
        done = croft(root, uri, "run")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Model: models:/croft/1 (challenger, champion)" in done.stdout
        traced = croft(root, uri, "lineage")
        assert traced.returncode == 0, traced.stdout + traced.stderr
        assert f"http://{server.host}" in traced.stdout
        printed = done.stdout + done.stderr + traced.stdout + traced.stderr
    assert SECRET not in printed
    assert "View run" not in printed
    assert list(holders(tmp_path)) == []
    assert (root / "dvc.lock").is_file()
    assert f"http://{server.host}" in (root / "artifacts" / "runs" / "register.json").read_text()


@pytest.mark.parametrize("scheme", ["http", "postgresql", "mysql+pymysql", "gopher"])
def test_a_run_without_its_server_prints_and_writes_no_password(root: Path, tmp_path: Path, scheme: str) -> None:
    uri = f"{scheme}://croft:{SECRET}@127.0.0.1:9/mlflow?password={SECRET}"  # the discard port: nobody listens
    done = croft(root, uri, "run")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "127.0.0.1:9" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert list(holders(tmp_path)) == []

    # The stage by itself, as `dvc repro` starts it.
    shutil.rmtree(root / ".croft", ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
    alone = subprocess.run(
        [sys.executable, "register_tiny.py"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert alone.returncode == 2, alone.stdout + alone.stderr
    assert SECRET not in alone.stdout + alone.stderr
    assert list(holders(tmp_path)) == []
