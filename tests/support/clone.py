"""A temporary clone of the project, driven by the real `dvc`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STAGES = list(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
SHRUNK = {
    "split": {"seeds": [1, 2], "shots": 4, "validation": 4},
    "featurize": {"views": 2},
    "finetune": {
        "epochs": 3,
        "batch_size": 16,
        "methods": {
            "zero-shot": {"train": False},
            "adapters": {"generator": False, "lambda_1": 0.0, "lambda_2": 0.0},
            "croft": {},
        },
    },
    "evaluate": {"bootstrap": 100},
    "export": {"parity_images": 8},
}


class Clone:
    """A project folder of its own, with its own DVC cache; the tracking store is given, or with None its own too."""

    def __init__(self, folder: Path, store: Path | None) -> None:
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        self.env = {
            **inherited,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            **({"MLFLOW_TRACKING_URI": f"sqlite:///{store.resolve()}"} if store else {}),
            "PREFECT_HOME": str(folder / ".croft" / "prefect"),
            "PYTHONPATH": str(folder),
        }

    def run(self, *command: str, check: bool = True, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=seconds, check=False
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

    def processes(self) -> list[str]:
        """Command lines of the processes that work in this folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.cwd().startswith(str(self.folder)) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found


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


def pulled(clone: Clone, folder: Path, store: Path | None) -> Clone:
    """Another clone below `folder`, with the first one's outputs through a remote, and a store (its own for None)."""
    clone.run("dvc", "remote", "add", "--default", "shelf", str(folder / "remote"))
    clone.run("dvc", "push", "-q")
    other = Clone(folder / "other", store)
    copy_project(other.folder)
    other.set(**SHRUNK)
    for name in ("dvc.lock", "data/builtin/dvc.lock", ".dvc/config"):
        shutil.copy2(clone.folder / name, other.folder / name)
    other.run("dvc", "pull", "-q")
    return other
