"""`croft run` in workspaces with awkward names: it works, or one line says what to rename before anything starts."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli.run import _print_commands
from pipeline.console import make_console
from pipeline.tracking.local import sqlite_uri

STAGES: dict[str, dict[str, object]] = {
    "one": {"cmd": "python -c \"open('out.txt', 'w').write('x')\"", "outs": ["out.txt"]}
}
Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]


def renamed(project: Project, name: str) -> Path:
    root = project(STAGES)
    return root.rename(root.with_name(name))


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a%20b", "error: {root}: MLflow reads %20 in the name of a folder as the code of another character"),
        (
            "br[a]ck{{e}}t",
            "error: {root}/.dvc/cache/files/md5: DVC cannot use a cache with '{{' and '}}' in its path; ",
        ),
    ],
)
def test_a_folder_in_which_it_cannot_work_is_refused(project: Project, croft: Croft, name: str, start: str) -> None:
    root = renamed(project, name.format())
    run = croft(root, "run")
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 2
    (line,) = errors.splitlines()
    assert line.startswith(start.format(root=root))
    assert "; rename the folder, or " in line
    assert not (root / "out.txt").exists()
    assert not (root / ".croft").exists()


def test_a_folder_with_every_usual_character(project: Project, croft: Croft, tmp_path: Path) -> None:
    root = renamed(project, "ä 🐈 [b] #?%'\"&;")
    run = croft(root, "run")
    out, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors
    assert "1 stage executed" in out
    assert f"mlflow ui --backend-store-uri {shlex.quote(sqlite_uri(root / '.croft/mlflow.db'))}  " in out
    assert (root / ".croft/mlflow.db").is_file()
    assert (root / ".croft/prefect/prefect.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [root.name]


def test_brackets_in_a_folder_are_no_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "br[a]ck"
    root.mkdir()
    monkeypatch.chdir(root)
    _print_commands(make_console())
    assert f"mlflow ui --backend-store-uri 'sqlite:///{root}/.croft/mlflow.db'  " in capsys.readouterr().out
