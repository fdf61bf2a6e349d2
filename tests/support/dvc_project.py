"""Small DVC projects to run flows on: real stages, but each only a line of Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Stages = dict[str, dict[str, object]]


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Stages], Path]:
    """Makes a project with these stages and a params.yaml that holds `a: 1`."""

    def make(stages: Stages) -> Path:
        root = tmp_path / "project"
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
        (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
        (root / "params.yaml").write_text("a: 1\n")
        return root

    return make
