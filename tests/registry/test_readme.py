"""The README's lines that load the champion and predict, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.registry.register import register_model
from pipeline.registry.versions import CHAMPION, open_registry
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}
README = Path(__file__).parents[2] / "README.md"


def test_prediction_of_the_readme_runs_in_a_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]
) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "export")
    with stage_run("register", started=time.time(), params={"a": 1}, out=tmp_path / "register.json") as run:
        version = register_model(tmp_path / "export", name="croft", run_id=run.run_id, tags={}, metrics=METRICS)
    open_registry(None)[0].set_registered_model_alias("croft", CHAMPION, version)
    pixels = np.zeros((11, 17, 3), np.uint8)
    pixels[..., 1] = 255
    Image.fromarray(pixels).save("photo.png")

    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()[:2]
    assert header.split()[:2] == ["label", "class"]
    assert row.split()[1:3] == ["green", "green"]
    assert not (tmp_path / "mlflow.db").exists()  # MLflow's default store, which knows none of our models
