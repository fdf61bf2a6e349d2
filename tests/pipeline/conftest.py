"""A temporary clone of the project with its params shrunk, driven by the real `dvc`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
SHRUNK = {
    "split": {"seeds": [1, 2], "shots": 4, "validation": 4},
    "featurize": {"views": 2},
    "finetune": {"epochs": 3, "batch_size": 16},
    "evaluate": {"bootstrap": 100},
    "export": {"parity_images": 8},
}


class Clone:
    """A project folder of its own, with its own DVC cache; the tracking store is given."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        uri = f"sqlite:///{store.resolve()}"
        self.env = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": uri,
            "PREFECT_HOME": str(folder / ".croft" / "prefect"),
            "PYTHONPATH": str(folder),
        }

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=900, check=False
        )
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            )
        return done

    def set(self, **sections: dict[str, object]) -> None:
        """Change keys of params.yaml."""
        file = self.folder / "params.yaml"
        params = yaml.safe_load(file.read_text())
        for section, values in sections.items():
            params[section].update(values)
        file.write_text(yaml.safe_dump(params, sort_keys=False))

    def run_ids(self) -> dict[str, str]:
        """MLflow run id by stage, as the stages' outputs say."""
        return {s: self.json(f"artifacts/runs/{s}.json")["run_id"] for s in STAGES}

    def json(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())


def copy_project(folder: Path) -> None:
    """What git tracks or would track, committed in a new repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.endswith("dvc.lock"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "add", "-A"],
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "clone"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


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
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{store.resolve()}")

    def ids() -> list[str]:
        experiments = [e.experiment_id for e in client.search_experiments()]
        return [run.info.run_id for run in client.search_runs(experiments, max_results=1000)]

    return ids
