"""`make setup` with the uv on the PATH, with one that a Python's pip installs, and with neither; whatever is active."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
VERSION, OLDEST = (re.search(rf"^{name} := (\S+)$", MAKEFILE, re.M)[1] for name in ("UV_VERSION", "UV_OLDEST"))
TOOLS = ("make", "sh", "awk", "tr", "ln", "mkdir", "rm", "touch", "uname")  # all that `make setup` may need
# Stands for uv: tells its version, logs what it is asked for, and makes the interpreter that make looks for.
UV = """#!{sh}
case "$1" in
  --version) echo "uv {version} (abc 2026-01-01)"; exit ;;
  venv) mkdir -p .venv/bin; touch .venv/bin/python ;;
esac
echo "{name}" "$@" >> uv.log
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("Makefile", "infra/get-uv.sh", "pipeline/cli/start.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    for name in ("requirements.lock", "pyproject.toml"):
        (folder / name).write_text("")
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the tools alone: neither uv nor Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An environment without pip, as uv makes them."""
    folder = tmp_path / "active"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment with a real pip."""
    folder = tmp_path / "other"
    done = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this Python has no ensurepip")
    return folder


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a wheel of the pinned uv, which is all that pip finds."""
    folder, info = tmp_path / "wheels", f"uv-{VERSION}.dist-info"
    folder.mkdir()
    with zipfile.ZipFile(folder / f"uv-{VERSION}-py3-none-any.whl", "w") as wheel:
        script = zipfile.ZipInfo(f"uv-{VERSION}.data/scripts/uv")
        script.external_attr = 0o100755 << 16
        wheel.writestr(script, uv(VERSION, "pip's"))
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: uv\nVersion: {VERSION}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return folder


def uv(version: str, name: str) -> str:
    return UV.format(sh=shutil.which("sh"), version=version, name=name)


def put_uv(folder: Path, version: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "uv"
    file.write_text(uv(version, "the PATH's"))
    file.chmod(0o755)
    return file


def make(
    project: Path, *path: Path, active: Path | None = None, wheels: Path | None = None
) -> subprocess.CompletedProcess:
    environment = {"PATH": os.pathsep.join(map(str, path)), "HOME": str(project), "PIP_NO_INDEX": "1"}
    environment |= {"VIRTUAL_ENV": str(active)} if active else {}
    environment |= {"PIP_FIND_LINKS": str(wheels)} if wheels else {}
    return subprocess.run(["make", "setup"], cwd=project, env=environment, capture_output=True, text=True, check=False)


def asked(project: Path) -> list[str]:
    return [line.split(" --")[0] for line in (project / "uv.log").read_text().splitlines()]


def whole(name: str) -> list[str]:
    return [f"{name} venv", f"{name} pip sync", f"{name} pip install"]


def test_an_active_environment_without_pip_and_a_uv_on_the_path(
    project: Path, tools: Path, bare: Path, tmp_path: Path
) -> None:
    file = put_uv(tmp_path / "bin", VERSION)
    done = make(project, bare / "bin", file.parent, tools, active=bare)
    assert done.returncode == 0, done.stderr
    assert asked(project) == whole("the PATH's")
    assert (project / ".venv/.ready").is_file()


@pytest.mark.parametrize("old", [None, "0.7.22"])
def test_an_active_environment_without_pip_and_another_python_with_it(
    project: Path, tools: Path, bare: Path, python: Path, wheels: Path, tmp_path: Path, old: str | None
) -> None:
    places = [bare / "bin", *([put_uv(tmp_path / "bin", old).parent] if old else []), python / "bin", tools]
    done = make(project, *places, active=bare, wheels=wheels)
    assert done.returncode == 0, done.stderr
    assert asked(project) == whole("pip's")


def test_neither_uv_nor_pip(project: Path, tools: Path, bare: Path) -> None:
    done = make(project, bare / "bin", tools, active=bare)
    assert done.returncode == 2  # make's own, for a recipe that failed
    lines = done.stderr.splitlines()
    assert lines[0] == (
        f"error: no uv {OLDEST} or newer and no Python with pip on the PATH; install uv "
        "(https://docs.astral.sh/uv/getting-started/installation/) or pip (Debian, Ubuntu: apt install python3-pip), "
        "then run make again"
    )
    assert not (project / ".venv").exists()


def test_a_uv_that_was_removed_since_is_replaced(
    project: Path, tools: Path, python: Path, wheels: Path, tmp_path: Path
) -> None:
    file = put_uv(tmp_path / "bin", VERSION)
    assert make(project, file.parent, tools).returncode == 0
    file.unlink()
    (project / "uv.log").unlink()
    (project / ".venv/.ready").unlink()
    done = make(project, python / "bin", tools, wheels=wheels)
    assert done.returncode == 0, done.stderr
    assert asked(project)[-2:] == whole("pip's")[1:]


@pytest.mark.parametrize(
    ("version", "serves"),
    [(OLDEST, True), ("0.7.99", False), ("0.10.0", True), ("1.0.0", True), ("0.8", True), ("", False)],
)
def test_which_versions_serve(project: Path, tools: Path, tmp_path: Path, version: str, serves: bool) -> None:
    done = make(project, put_uv(tmp_path / "bin", version).parent, tools)
    assert (done.returncode == 0) == serves, done.stderr


@pytest.fixture(autouse=True)
def _make_is_there() -> None:
    if not shutil.which("make"):
        pytest.skip("this machine has no make")
