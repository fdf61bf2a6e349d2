"""Folders in which DVC works, and those in which it does not, which are refused before it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc_project import Stages

from pipeline.dvc_runner.place import check_place
from pipeline.dvc_runner.program import query
from pipeline.dvc_runner.reproduce import EXECUTED, reproduce
from pipeline.errors import PipelineError

STAGES: Stages = {"one": {"cmd": "python -c \"open('out.txt', 'w').write('x')\"", "outs": ["out.txt"]}}
Project = Callable[[Stages], Path]


def renamed(project: Project, name: str) -> Path:
    root = project(STAGES)
    return root.rename(root.with_name(name))


@pytest.mark.parametrize("name", ["a%20b", "ä 🐈 [b] #?%'\"&;", "a:b"])
def test_dvc_works_in(project: Project, name: str) -> None:
    root = renamed(project, name)
    assert reproduce(root, "one").state == EXECUTED
    assert (root / "out.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "braces"), [("br[a]ck{e}t", "'{' and '}'"), ("open{", "'{'"), ("close}", "'}'"), ("{}", "'{' and '}'")]
)
def test_braces_in_the_path_of_the_cache_are_refused_with_the_folder_and_the_character(
    project: Project, name: str, braces: str
) -> None:
    root = renamed(project, name)
    message = (
        f"{root}/.dvc/cache/files/md5: DVC cannot use a cache with {braces} in its path; rename the folder, or move "
        "the cache: `dvc cache dir --local FOLDER`"
    )
    for start in (lambda: query(root, "status"), lambda: reproduce(root, "one")):
        with pytest.raises(PipelineError, match=f"^{re.escape(message)}$"):
            start()
    assert not (root / "out.txt").exists()


def test_dvc_itself_still_fails_there(project: Project) -> None:
    """Without this failure the rule is not needed."""
    root = renamed(project, "br[a]ck{e}t")
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "failed to reproduce 'one': 'e'" in done.stderr


def test_braces_are_no_matter_where_the_cache_lies_elsewhere(project: Project, tmp_path: Path) -> None:
    root = renamed(project, "br[a]ck{e}t")
    with (root / ".dvc/config").open("a") as file:
        file.write(f"[cache]\n    dir = {tmp_path}/cache\n")
    assert reproduce(root, "one").state == EXECUTED


def set_remote(root: Path, url: str) -> None:
    with (root / ".dvc/config.local").open("a") as file:
        file.write(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {url}\n")


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("/srv/st{o}re", "/srv/st{o}re: DVC cannot use the remote 'store' with '{' and '}' in its path; "),
        ("s3://who:secret@bucket/croft}", "DVC cannot use the remote 'store' with '}' in its path; "),
    ],
)
def test_braces_in_the_path_of_the_default_remote_are_refused(project: Project, url: str, start: str) -> None:
    root = project(STAGES)
    set_remote(root, url)
    advice = "rename that folder, then run `dvc remote modify store url URL`"
    for refused in (lambda: query(root, "status"), lambda: reproduce(root, "one")):
        with pytest.raises(PipelineError, match=f"^{re.escape(start + advice)}$"):
            refused()
    assert not (root / "out.txt").exists()


def test_dvc_itself_still_fails_with_such_a_remote(project: Project, tmp_path: Path) -> None:
    """Without this failure the rule is not needed."""
    root = project(STAGES)
    assert reproduce(root, "one").state == EXECUTED
    (tmp_path / "st{o}re").mkdir()
    set_remote(root, str(tmp_path / "st{o}re"))
    done = subprocess.run([sys.executable, "-m", "dvc", "push"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "unexpected error - 'o'" in done.stderr


def test_braces_in_the_path_of_a_cache_elsewhere_are_refused(project: Project, tmp_path: Path) -> None:
    root = project(STAGES)
    with (root / ".dvc/config").open("a") as file:
        file.write(f"[cache]\n    dir = {tmp_path}/c{{a}}che\n")
    with pytest.raises(PipelineError, match=r"c\{a\}che/files/md5: DVC cannot use a cache with '\{' and '\}' in its"):
        query(root, "status")


def test_an_environment_with_a_colon_in_its_path_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", "/srv/a:b/.venv/bin/python")
    message = (
        "/srv/a:b/.venv/bin: no command is found in a folder with ':' in its path; rename the folder, then run "
        "`make clean` and `make setup`"
    )
    with pytest.raises(PipelineError, match=f"^{re.escape(message)}$"):
        check_place(tmp_path)
