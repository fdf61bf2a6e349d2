"""A project that `croft run` accepts (our params.yaml) with a small graph of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Makes it with these stages, in the test's folder or `within` another."""

    def make(stages: dict[str, dict[str, object]], within: Path = tmp_path) -> Path:
        root = within / "project"
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
        (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        params = (ROOT / "params.yaml").read_text()
        (root / "params.yaml").write_text(params)
        for name in (yaml.safe_load(params)["data"]["root"], yaml.safe_load(params)["backbone"]["weights"]):
            (root / name).mkdir(parents=True)  # inputs that are there; the toy stages read nothing
        return root

    return make


@pytest.fixture
def croft() -> Callable[..., subprocess.Popen[str]]:
    """Starts `croft` with arguments in a folder; keywords are variables of its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT", "PREFECT"))}

    def start(root: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *arguments],
            cwd=root,
            env={**kept, "PYTHONPATH": str(ROOT), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start
