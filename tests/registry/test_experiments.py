"""Experiments of the real dvc, wherever they run: the store of the workspace knows their runs and versions."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.registry.registration import CARD, REGISTRATION, check_registration, read_registration
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.identity import read_identity
from pipeline.tracking.runs import PARENT_VARIABLE

pytestmark = pytest.mark.xdist_group("dvc")
ROOT = Path(__file__).resolve().parents[2]
IDENTITY = Path("artifacts/runs/register.json")
STAGE = f"""
import sys, time
from pathlib import Path
import yaml
from pipeline.registry.register import register_model
from pipeline.registry.registration import Registration, write_registration
from pipeline.tracking.runs import stage_run

params = yaml.safe_load(Path("params.yaml").read_text())
with stage_run("register", started=time.time(), params=params, out=Path("{IDENTITY}")) as run:
    metrics = {{"croft": {{"mean": {{"accuracy": params["a"] / 10, "auroc": 0.5}}}}}}
    version = register_model(Path("{CARD.parent}"), name="croft", run_id=run.run_id, tags={{}}, metrics=metrics)
    write_registration(Registration("croft", version, run.run_id), Path("{REGISTRATION}"))
"""


def test_queue_temp_apply_and_branch_keep_the_identity_of_runs_and_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]
) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "workspace"
    write_tiny_model(root / CARD.parent)
    (root / "register.py").write_text(STAGE)
    (root / "params.yaml").write_text("a: 1\n")
    (root / ".gitignore").write_text("/.croft/\n")
    (root / "dvc.yaml").write_text(
        "stages:\n  register:\n    cmd: python register.py\n    params: [a]\n"
        f"    outs: [{REGISTRATION.as_posix()}, {IDENTITY.as_posix()}]\n"
    )
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def state() -> tuple[str, str, str]:
        """Version, run and parameter that the workspace's files name; each checked against the store."""
        registration, identity = read_registration(root / REGISTRATION), read_identity(root / IDENTITY)
        check_registration(registration, root / CARD, root=root)
        assert registration.run_id == identity.run_id
        return registration.version, identity.run_id, client.get_run(identity.run_id).data.params["a"]

    run("git", "init", "-q", "-b", "main")
    run("git", "config", "user.name", "t")
    run("git", "config", "user.email", "t@example.org")
    run("dvc", "init", "-q")
    run("dvc", "repro", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "baseline")
    client = connect(root)
    baseline = state()
    assert (baseline[0], baseline[2]) == ("1", "1")

    run("dvc", "exp", "run", "--queue", "--name", "queued", "-S", "a=2")
    run("dvc", "exp", "run", "--run-all")
    run("dvc", "exp", "run", "--temp", "--name", "temporary", "-S", "a=3")
    assert list((root / ".dvc" / "tmp").rglob("mlflow.db")) == []
    assert state() == baseline  # both ran elsewhere
    versions = {str(version.version): version.run_id for version in client.search_model_versions("name = 'croft'")}
    assert sorted(versions) == ["1", "2", "3"]

    run("dvc", "exp", "apply", "queued")
    assert state() == ("2", versions["2"], "2")
    run("dvc", "exp", "apply", "temporary")
    assert state() == ("3", versions["3"], "3")
    run("git", "checkout", "-q", "-f", "main")
    run("dvc", "checkout", "-q")
    assert state() == baseline
    run("dvc", "exp", "branch", "queued", "kept")
    run("git", "checkout", "-q", "kept")
    run("dvc", "checkout", "-q")
    assert state() == ("2", versions["2"], "2")
