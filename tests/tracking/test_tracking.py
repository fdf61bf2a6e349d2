"""Runs in a real SQLite store: identity files, tags, batches, parents, and what happens when something breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import origin
from pipeline.errors import DataError, TrackingError
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect, experiment_id, shown_uri, tracking_uri
from pipeline.tracking.environment import LOCK_FILE
from pipeline.tracking.identity import Identity, read_identity
from pipeline.tracking.parents import close_parent, close_stale_parents, open_parent
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run
from pipeline.tracking.store import known_store, server_address, store_id


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_uri_is_an_absolute_sqlite_file_unless_one_is_chosen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(Path()) == f"sqlite:///{root}/.croft/mlflow.db"
    assert tracking_uri(root).startswith("sqlite:////")
    monkeypatch.setenv(URI_VARIABLE, "sqlite:///other.db")
    assert tracking_uri(root) == f"sqlite:///{root}/other.db"
    monkeypatch.setenv(URI_VARIABLE, "http://host:5000")
    assert tracking_uri(root) == "http://host:5000"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:secret@db:5432/mlflow?password=secret", "postgresql://db:5432/mlflow"),
        ("https://u:secret@host/prefix", "https://host/prefix"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_shown_uri_holds_no_credentials(uri: str, shown: str) -> None:
    assert shown_uri(uri) == shown


def test_a_stage_becomes_one_finished_run_under_its_parent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / LOCK_FILE).write_text("numpy==2\n")
    (root / "note.txt").write_text("kept")
    parent = open_parent("train", {"why": "test"})
    monkeypatch.setenv(PARENT_VARIABLE, parent)
    out = root / "artifacts" / "runs" / "finetune.json"
    started = time.time() - 5.0
    params = {"finetune": {"epochs": 3, "seeds": (1, 2)}, "long": "x" * 7000, **{f"k{i}": i for i in range(150)}}
    with stage_run("finetune", started=started, params=params, out=out) as stage:
        stage.log(
            metrics={"accuracy": 0.5, "broken": float("nan"), "method*": 1.0},
            artifacts=[root / "note.txt"],
            datasets=[("digits", "a" * 64, "data/builtin/digits")],
            series={"loss": [(step, 1.0 / (step + 1)) for step in range(1500)]},
        )
    run_id = stage.run_id
    close_parent(parent, "FINISHED", {"stage.finetune.run_id": run_id})

    client = connect(root)
    identity = read_identity(out)
    assert (identity.run_id, identity.stage) == (run_id, "finetune")
    assert identity.store == known_store(client) != ""
    assert str(root) not in out.read_text()  # it travels: no path of this machine
    assert identity.params == client.get_run(run_id).data.params
    assert identity.metrics == {"accuracy": 0.5, "method_": 1.0, "loss": 1.0 / 1500}
    assert identity.inputs == {"digits": "a" * 64}

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
    assert sorted(path.name for path in root.iterdir()) == [".croft", "artifacts", "note.txt", LOCK_FILE]


def test_a_stage_that_breaks_leaves_a_failed_run_and_no_identity(root: Path) -> None:
    out = root / "finetune.json"
    with (
        pytest.raises(ZeroDivisionError),
        stage_run("finetune", started=time.time(), params={}, out=out) as run,
    ):
        raise ZeroDivisionError
    assert connect(root).get_run(run.run_id).info.status == "FAILED"
    assert not out.exists()


def test_a_missing_artifact_is_a_failed_run(root: Path) -> None:
    out = root / "finetune.json"
    with (
        pytest.raises(OSError, match="gone"),
        stage_run("finetune", started=time.time(), params={}, out=out) as run,
    ):
        run.log(artifacts=[root / "gone"])
    client = connect(root)
    runs = client.search_runs([client.get_experiment_by_name("croft").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
    assert not out.exists()


def test_unreachable_server_is_one_quick_line_without_credentials(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI_VARIABLE, "http://user:hunter2@127.0.0.1:9")  # the discard port: nobody listens
    with (
        pytest.raises(TrackingError) as caught,
        stage_run("split", started=time.time(), params={}, out=root / "split.json"),
    ):
        pass
    message = str(caught.value)
    assert message.startswith("http://127.0.0.1:9: ")
    assert "hunter2" not in message
    assert "\n" not in message
    assert "what was computed is kept" in message


@pytest.mark.parametrize("uri", ["gopher://u:hunter2@host/x", "./mlruns", "postgresql+nodriver://u:hunter2@host/x"])
def test_unusable_store_is_a_tracking_error(root: Path, monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv(URI_VARIABLE, uri)
    with pytest.raises(TrackingError) as caught:
        open_parent("train")
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(root.iterdir()) == []


def test_runs_of_dead_processes_are_closed_and_those_of_living_ones_are_not(root: Path) -> None:
    mine = open_parent("mine")
    code = (
        "import os; from pipeline.tracking.parents import open_parent as o; print(o('dead'), flush=True); os._exit(9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
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
    assert close_stale_parents() == [dead]
    client = connect(root)
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_run(mine).info.status == "RUNNING"
    assert close_stale_parents() == []


def test_a_run_that_finishes_while_it_is_looked_at_stays_finished(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_parent("train")
    client = connect(root)

    def ends_now(tags: object) -> bool:
        """As if the process had ended its run and itself since the run was read."""
        close_parent(run)
        return True

    monkeypatch.setattr("pipeline.tracking.parents.ended_here", ends_now)
    assert close_stale_parents() == []
    assert client.get_run(run).info.status == "FINISHED"


def test_deleted_experiment_is_restored_and_named_by_variable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXPERIMENT_VARIABLE, "other")
    client = connect(root)
    name, number = experiment_id(client, root)
    client.delete_experiment(number)
    assert experiment_id(client, root) == (name, number) == ("other", number)
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
        read_identity(root / "split.json")
    with pytest.raises(DataError, match="no such file"):
        read_identity(root / "missing.json")
    (root / "split.json").write_text(json.dumps({"run_id": "1", "metrics": {"accuracy": "high"}}))
    with pytest.raises(DataError, match="metrics: not the identity of a run"):
        read_identity(root / "split.json")


def test_an_identity_of_an_earlier_revision_is_read(root: Path) -> None:
    (root / "split.json").write_text(json.dumps({"run_id": "1", "stage": "split", "tracking_uri": "sqlite:////a.db"}))
    assert read_identity(root / "split.json") == Identity(run_id="1", stage="split")


def test_a_store_has_one_id_that_moves_with_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect(root)
    _, number = experiment_id(client, root)
    store = store_id(client, number)
    monkeypatch.setenv(EXPERIMENT_VARIABLE, "other")
    _, other = experiment_id(client, root)
    assert other != number
    assert store_id(client, other) == known_store(client) == store

    (root / "moved").mkdir()
    (root / ".croft" / "mlflow.db").rename(root / "moved" / "mlflow.db")
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{root}/moved/mlflow.db")
    assert known_store(connect(root)) == store
    monkeypatch.setenv(URI_VARIABLE, f"sqlite:///{root}/new.db")
    assert known_store(connect(root)) == ""


def test_a_store_made_before_there_were_ids_gets_one(root: Path) -> None:
    client = connect(root)
    number = client.create_experiment("croft")
    first = store_id(client, number)
    assert first == store_id(client, number) != ""


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sqlite:////home/me/mlflow.db", ""),
        ("sqlite+pysqlite:///file:/home/me/mlflow.db?uri=true", ""),
        ("file:///home/me/mlruns", ""),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://db:5432/mlflow", "postgresql://db:5432/mlflow"),
        ("databricks", "databricks"),
    ],
)
def test_only_what_is_the_same_on_every_machine_is_an_address(uri: str, address: str) -> None:
    assert server_address(uri) == address


def test_an_experiments_folder_finds_the_store_of_the_workspace_that_queued_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1" / "sub"
    folder.mkdir(parents=True)
    assert tracking_uri(folder) == f"sqlite:///{root}/.croft/mlflow.db"
    monkeypatch.setenv(origin.ROOT_VARIABLE, str(root / "another"))  # inherited from another project: not believed
    assert origin.workspace(folder) == root
    assert origin.workspace(root / "data") == root / "data"

    # .dvc/tmp on another disk: only DVC knows the way back.
    (root / "disk" / "exps" / "tmp2").mkdir(parents=True)
    (root / "linked" / ".dvc").mkdir(parents=True)
    (root / "linked" / ".dvc" / "tmp").symlink_to(root / "disk")
    assert origin.workspace(root / "disk" / "exps" / "tmp2") == root / "disk" / "exps" / "tmp2"
    monkeypatch.setenv(origin.ROOT_VARIABLE, str(root / "linked"))
    assert origin.workspace(root / "disk" / "exps" / "tmp2") == root / "linked"
