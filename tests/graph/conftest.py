"""Clones in which the pipeline has run, with params shrunk."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import pytest
from clone import SHRUNK, Clone, copy_project


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking") / "mlflow.db"


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Clone:
    """A clone in which `dvc repro` has run once."""
    clone = Clone(tmp_path_factory.mktemp("fresh"), store)
    copy_project(clone.folder)
    clone.set(**SHRUNK)
    clone.run("dvc", "repro")
    return clone


@pytest.fixture
def clone(fresh: Clone, store: Path, tmp_path: Path) -> Clone:
    """A copy of the finished clone, cache included, to change at will."""
    folder = tmp_path / "clone"
    shutil.copytree(fresh.folder, folder, symlinks=True)
    return Clone(folder, store)


@pytest.fixture
def recorded(store: Path):
    """Call to list the ids of all stage runs in the tracking store."""
    import mlflow
    import sqlalchemy.exc

    def ids() -> list[str]:
        with warnings.catch_warnings(action="ignore", category=sqlalchemy.exc.SADeprecationWarning):  # MLflow's own
            client = mlflow.MlflowClient(f"sqlite:///{store.resolve()}")
        experiments = [e.experiment_id for e in client.search_experiments()]
        return [run.info.run_id for run in client.search_runs(experiments, max_results=1000)]

    return ids
