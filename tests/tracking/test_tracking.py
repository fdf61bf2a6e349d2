"""Runs in a real SQLite store: identity files, tags, batches, parents, and what happens when something breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import origin, tracking
from pipeline.errors import DataError, TrackingError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (tracking.URI_VARIABLE, tracking.PARENT_VARIABLE, tracking.EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_uri_is_an_absolute_sqlite_file_unless_one_is_chosen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking.tracking_uri(Path()) == f"sqlite:///{root}/.croft/mlflow.db"
    assert tracking.tracking_uri(root).startswith("sqlite:////")
    monkeypatch.setenv(tracking.URI_VARIABLE, "sqlite:///other.db")
    assert tracking.tracking_uri(root) == f"sqlite:///{root}/other.db"
    monkeypatch.setenv(tracking.URI_VARIABLE, "http://host:5000")
    assert tracking.tracking_uri(root) == "http://host:5000"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:secret@db:5432/mlflow?password=secret", "postgresql://db:5432/mlflow"),
        ("https://u:secret@host/prefix", "https://host/prefix"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_shown_uri_holds_no_credentials(uri: str, shown: str) -> None:
    assert tracking.shown_uri(uri) == shown


def test_a_stage_becomes_one_finished_run_under_its_parent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / tracking.LOCK_FILE).write_text("numpy==2\n")
    (root / "note.txt").write_text("kept")
    parent = tracking.open_parent("train", {"why": "test"})
    monkeypatch.setenv(tracking.PARENT_VARIABLE, parent)
    out = root / "artifacts" / "runs" / "finetune.json"
    started = time.time() - 5.0
    params = {"finetune": {"epochs": 3, "seeds": (1, 2)}, "long": "x" * 7000, **{f"k{i}": i for i in range(150)}}
    with tracking.stage_run("finetune", started=started, params=params, out=out) as run:
        run.log(
            metrics={"accuracy": 0.5, "broken": float("nan"), "method*": 1.0},
            artifacts=[root / "note.txt"],
            datasets=[("digits", "a" * 64, "data/builtin/digits")],
            series={"loss": [(step, 1.0 / (step + 1)) for step in range(1500)]},
        )
    run_id = run.run_id
    tracking.close_parent(parent, "FINISHED", {"stage.finetune.run_id": run_id})

    identity = tracking.read_stage_run(out)
    assert identity["run_id"] == run_id
    assert identity["stage"] == "finetune"
    assert identity["tracking_uri"] == f"sqlite:///{root}/.croft/mlflow.db"

    client = tracking.connect(root)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.start_time == int(started * 1000)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.params["finetune.epochs"] == "3"
    assert run.data.params["finetune.seeds"] == "[1, 2]"
    assert run.data.params["k149"] == "149"  # beyond the 100 that one request may hold
    assert len(run.data.params["long"]) == 6000
    assert run.data.metrics == {"accuracy": 0.5, "method_": 1.0, "loss": 1.0 / 1500}
    assert len(client.get_metric_history(run_id, "loss")) == 1500
    # sha256 of "numpy==2\n", from `printf 'numpy==2\n' | sha256sum`
    assert run.data.tags["lock_sha256"] == "fd093a05d7bdc038841c0e712a3e501167d42625324203cf2b2b541ee37e4acd"
    dataset = run.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, dataset.dataset.digest) == ("digits", "a" * 36)
    assert {tag.key: tag.value for tag in dataset.tags}["croft.digest"] == "a" * 64
    assert [item.path for item in client.list_artifacts(run_id)] == ["note.txt"]
    assert client.get_run(parent).data.tags["stage.finetune.run_id"] == run_id
    assert sorted(path.name for path in root.iterdir()) == [".croft", "artifacts", "note.txt", tracking.LOCK_FILE]


def test_a_stage_that_breaks_leaves_a_failed_run_and_no_identity(root: Path) -> None:
    out = root / "finetune.json"
    with (
        pytest.raises(ZeroDivisionError),
        tracking.stage_run("finetune", started=time.time(), params={}, out=out) as run,
    ):
        raise ZeroDivisionError
    assert tracking.connect(root).get_run(run.run_id).info.status == "FAILED"
    assert not out.exists()


def test_a_missing_artifact_is_a_failed_run(root: Path) -> None:
    out = root / "finetune.json"
    with (
        pytest.raises(OSError, match="gone"),
        tracking.stage_run("finetune", started=time.time(), params={}, out=out) as run,
    ):
        run.log(artifacts=[root / "gone"])
    client = tracking.connect(root)
    runs = client.search_runs([client.get_experiment_by_name("croft").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
    assert not out.exists()


def test_unreachable_server_is_one_quick_line_without_credentials(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracking.URI_VARIABLE, "http://user:hunter2@127.0.0.1:9")  # the discard port: nobody listens
    with (
        pytest.raises(TrackingError) as caught,
        tracking.stage_run("split", started=time.time(), params={}, out=root / "split.json"),
    ):
        pass
    message = str(caught.value)
    assert message.startswith("http://127.0.0.1:9: ")
    assert "hunter2" not in message
    assert "\n" not in message
    assert "what was computed is kept" in message


@pytest.mark.parametrize("uri", ["gopher://u:hunter2@host/x", "./mlruns", "postgresql+nodriver://u:hunter2@host/x"])
def test_unusable_store_is_a_tracking_error(root: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv(tracking.URI_VARIABLE, uri)
    with pytest.raises(TrackingError) as caught:
        tracking.open_parent("train")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(root.iterdir()) == []


def test_runs_of_dead_processes_are_closed_and_those_of_living_ones_are_not(root: Path) -> None:
    mine = tracking.open_parent("mine")
    code = "from pipeline import tracking; import os; print(tracking.open_parent('dead'), flush=True); os._exit(9)"
    environment = {**os.environ, "PYTHONPATH": str(Path(tracking.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 9, done.stderr
    dead = done.stdout.split()[-1]
    assert tracking.close_stale_parents() == [dead]
    client = tracking.connect(root)
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_run(mine).info.status == "RUNNING"
    assert tracking.close_stale_parents() == []


def test_deleted_experiment_is_restored_and_named_by_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracking.EXPERIMENT_VARIABLE, "other")
    client = tracking.connect(root)
    name, number = tracking.experiment_id(client, root)
    client.delete_experiment(number)
    assert tracking.experiment_id(client, root) == (name, number) == ("other", number)
    assert client.get_experiment(number).lifecycle_stage == "active"


def test_git_state_counts_tracked_changes_but_not_the_lock_that_dvc_rewrites(root: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert origin.git_state(root) == ("", "false")
    git("init", "-q")
    (root / "sub").mkdir()
    for name in ("a.py", "dvc.lock", "sub/dvc.lock"):
        (root / name).write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")
    (root / "dvc.lock").write_text("2")
    (root / "sub" / "dvc.lock").write_text("2")
    (root / "new.txt").write_text("untracked")
    assert origin.git_state(root) == (commit, "false")
    (root / "a.py").write_text("2")
    assert origin.git_state(root) == (commit, "true")


def test_identity_without_a_run_id_is_refused(root: Path) -> None:
    (root / "split.json").write_text(json.dumps({"stage": "split"}))
    with pytest.raises(DataError, match="dvc repro -f split"):
        tracking.read_stage_run(root / "split.json")
    with pytest.raises(DataError, match="no such file"):
        tracking.read_stage_run(root / "missing.json")
