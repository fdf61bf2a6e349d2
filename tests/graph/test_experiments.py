"""Experiments of DVC, in the workspace's own store: their runs and versions are there once their folder is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
from clone import STAGES, Clone

from pipeline.registry.registration import CARD, REGISTRATION, check_registration, read_registration
from pipeline.tracking.client import URI_VARIABLE, connect

pytestmark = [pytest.mark.xdist_group("dvc"), pytest.mark.slow]  # tests/registry/test_experiments.py is the quick one
LAST = ["evaluate", "export", "register"]  # what a change of the section `export` runs again


@pytest.fixture(scope="module")
def workspace(fresh: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A finished clone with all committed, whose store (its own) has a version 1; the queue has run one experiment."""
    folder = tmp_path_factory.mktemp("workspace") / "clone"
    shutil.copytree(fresh.folder, folder, symlinks=True)
    clone = Clone(folder, None)
    clone.run("git", "config", "user.name", "t")
    clone.run("git", "config", "user.email", "t@example.org")
    clone.run("dvc", "repro", "--force", "--single-item", "register")
    clone.run("git", "add", "-A")
    clone.run("git", "commit", "-qm", "baseline")
    clone.run("dvc", "exp", "run", "--queue", "--name", "queued", "-S", "export.accept=0.9")
    clone.run("dvc", "exp", "run", "--run-all")
    return clone


@pytest.fixture
def client(workspace: Clone, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    return connect(workspace.folder)


def runs(client: mlflow.MlflowClient) -> dict[str, str]:
    """Stage by run id, of everything in the store."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_id: run.data.tags.get("stage", "") for run in client.search_runs(experiments)}


def check_applied(clone: Clone, client: mlflow.MlflowClient, before: dict[str, str]) -> None:
    """The workspace holds the outputs of the queued experiment, and the store everything that they name."""
    ids = clone.run_ids()
    assert {stage for stage in STAGES if ids[stage] != before[stage]} == set(LAST)
    assert {stage: runs(client)[ids[stage]] for stage in LAST} == {stage: stage for stage in LAST}
    registration = read_registration(clone.folder / REGISTRATION)
    assert (registration.version, registration.run_id) == ("2", ids["register"])
    check_registration(registration, clone.folder / CARD, root=clone.folder)
    tags = client.get_model_version("croft", "2").tags
    assert {stage: tags[f"stage.{stage}.run_id"] for stage in STAGES} == ids


def test_a_queued_experiment_writes_to_the_store_of_the_workspace(
    workspace: Clone, client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    before = workspace.run_ids()  # of the baseline: the experiment ran elsewhere
    assert list((workspace.folder / ".dvc/tmp/exps").rglob("mlflow.db")) == []
    assert sorted(runs(client).values()) == sorted(["register", *LAST])
    versions = client.search_model_versions("name = 'croft'", order_by=["version_number ASC"])
    assert [str(one.version) for one in versions] == ["1", "2"]
    copy = Clone(tmp_path / "clone", None)  # for `apply` and `branch`, each from the same state
    shutil.copytree(workspace.folder, copy.folder, symlinks=True)
    copy.env[URI_VARIABLE] = f"sqlite:///{workspace.folder}/.croft/mlflow.db"

    copy.run("dvc", "exp", "apply", "queued")
    check_applied(copy, client, before)
    said = copy.run("croft", "run").stdout
    assert "0 stages executed" in said
    assert "models:/croft/2 (challenger" in said

    copy.run("git", "checkout", "-q", "-f", "main")
    copy.run("dvc", "checkout", "-q")
    assert copy.run_ids() == before
    copy.run("dvc", "exp", "branch", "queued", "kept")
    copy.run("git", "checkout", "-q", "kept")
    copy.run("dvc", "checkout", "-q")
    check_applied(copy, client, before)


def test_an_experiment_in_a_temporary_folder_encodes_nothing_again(
    workspace: Clone, client: mlflow.MlflowClient
) -> None:
    known = set(runs(client))
    workspace.run(
        "dvc", "exp", "run", "--temp", "--name", "temporary", "-S", "featurize.batch_size=7", "featurize"
    )  # fmt: skip
    (run,) = set(runs(client)) - known
    assert runs(client)[run] == "featurize"
    assert client.get_run(run).data.metrics["encoded"] == 0
    workspace.run("dvc", "exp", "apply", "temporary")
    assert workspace.run_ids()["featurize"] == run
