"""The installed command starts our own package, whatever PYTHONPATH holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

COMMAND = Path(sys.executable).with_name("croft")
ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture(params=["pipeline/__init__.py", "pipeline.py"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """An environment whose PYTHONPATH holds another `pipeline`: a package, or a module."""
    file = tmp_path / "other" / request.param
    file.parent.mkdir(parents=True)
    file.write_text("raise SystemExit('the other pipeline')\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "other")}


def root_in_params(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return str(yaml.safe_load(done.stdout)["data"]["root"])


def test_another_pipeline_on_pythonpath_is_not_started(tmp_path: Path, other: dict[str, str]) -> None:
    (tmp_path / "params.yaml").write_text(SHIPPED.replace("data/builtin/digits ", "data/mine "), encoding="utf-8")
    assert root_in_params([str(COMMAND), "params"], tmp_path, other) == "data/mine"


def test_nor_by_a_module_that_is_started_in_the_project_as_dvc_starts_stages(other: dict[str, str]) -> None:
    assert root_in_params([sys.executable, "-m", "pipeline.cli", "params"], ROOT, other) == "data/builtin/digits"
