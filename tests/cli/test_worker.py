"""`croft worker` before it becomes Prefect's: what dead processes left open is ended."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from local_api import local_api

ROOT = Path(__file__).resolve().parents[2]
Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]
# A process that opens an MLflow run, and dies.
DIES = "import os; from pipeline.tracking.parents import open_parent; open_parent('train'); os._exit(9)"


def test_a_worker_ends_the_mlflow_runs_of_dead_processes_first(project: Project, croft: Croft, tmp_path: Path) -> None:
    root = project({"one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}})
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))}
    done = subprocess.run([sys.executable, "-c", DIES], cwd=root, env={**kept, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 9
    with local_api(tmp_path / "prefect") as api:
        worker = croft(root, "worker", "--name", "mine", "--help-me", PREFECT_API_URL=api.url)
        out, err = worker.communicate(timeout=120)
    with closing(sqlite3.connect(root / ".croft" / "mlflow.db")) as database:
        ((run, status),) = database.execute("SELECT run_uuid, status FROM runs").fetchall()
    assert status == "KILLED"
    assert f"MLflow run {run} is marked as killed: its process is gone" in out.splitlines()
    assert "--help-me" in err  # Prefect's own command has got the options, and does not know this one
