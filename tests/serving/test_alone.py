"""Prediction in an environment of its own, which has what prediction needs and neither torch nor DVC nor Prefect."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("numpy", "pillow", "onnxruntime-gpu", "onnxruntime", "typer", "rich", "tqdm", "pydantic", "pyyaml", "pyarrow")
ABSENT = ("torch", "torchvision", "open_clip", "dvc", "prefect", "mlflow", "pandas", "great_expectations")


def closure(names: tuple[str, ...]) -> dict[str, importlib.metadata.Distribution]:
    """The distributions of these names that are installed, and all that they require."""
    from packaging.requirements import Requirement

    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        parsed = map(Requirement, found[name].requires or [])
        waiting += [item.name for item in parsed if item.marker is None or item.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment, whose packages are links to those installed here."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for distribution in closure(NEEDED).values():
        for name in {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            source = Path(str(distribution.locate_file(name)))
            if source.exists() and not (site / name).exists():
                (site / name).symlink_to(source)
    return folder / "bin" / "python"


def run(python: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(cwd)}
    command = [str(python), "-W", "error", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_what_is_absent_is_absent(python: Path, tmp_path: Path) -> None:
    for name in ABSENT:
        done = run(python, "-c", f"import {name}", cwd=tmp_path)
        assert f"No module named {name!r}" in done.stderr
    assert (
        run(sys.executable, "-c", "import dvc", cwd=tmp_path).returncode == 0
    )  # it is the environment that lacks them


def test_the_predictor_answers(python: Path, tmp_path: Path, write_tiny_model: Callable[..., Path]) -> None:
    code = (
        "from pathlib import Path; from PIL import Image; from pipeline.serving.predictor import Predictor\n"
        "done = Predictor(Path('model'), device='cpu').predict([Image.new('RGB', (9, 9), 'red')])\n"
        "print(done.labels, done.top(1)[0][0][0])"
    )
    write_tiny_model(tmp_path / "model")
    done = run(python, "-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "['red'] red\n"), done.stderr


@pytest.mark.parametrize("form", [["--json"], ["--csv"], ["--parquet", "o.parquet"], []])
def test_the_command_answers(
    python: Path, tmp_path: Path, write_tiny_model: Callable[..., Path], form: list[str]
) -> None:
    write_tiny_model(tmp_path / "model")
    Image.new("RGB", (9, 9), "red").save(tmp_path / "red.png")
    done = run(python, "-m", "pipeline.cli", "predict", "red.png", "--model", "model", *form, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    if form == ["--json"]:
        assert json.loads(done.stdout)["label"] == "red"
    assert "1 image answered, 0 unknown, 0 errors" in done.stdout + done.stderr
