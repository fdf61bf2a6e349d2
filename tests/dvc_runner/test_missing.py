"""Data that is not here, and a project without git: the error says what to do, and what it says works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.dvc_runner.cache import open_cache
from pipeline.dvc_runner.reproduce import reproduce
from pipeline.dvc_runner.survey import survey
from pipeline.dvc_runner.tracked import add_and_push
from pipeline.errors import PipelineError

pytestmark = pytest.mark.xdist_group("dvc")
INPUT = "data/mine.dvc"


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A git repository whose data/mine is under DVC."""
    root = tmp_path / "main"
    (root / "data" / "mine").mkdir(parents=True)
    (root / "data" / "mine" / "1.png").write_bytes(b"1")
    run(root, "git", "init", "-q", "-b", "main")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    add_and_push(root, Path("data/mine"))
    run(root, "git", "add", "-A")
    run(root, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first")
    return root


def refusal(root: Path) -> str:
    changes = survey(root).changed
    assert INPUT in changes
    with pytest.raises(PipelineError) as caught:
        reproduce(root, INPUT, changes=changes[INPUT])
    return str(caught.value)


def test_a_clone_without_a_remote_names_the_cache_of_another_clone_and_the_command_that_made_the_data(
    main: Path, tmp_path: Path
) -> None:
    run(tmp_path, "git", "clone", "-q", str(main), "clone")
    clone = tmp_path / "clone"
    assert refusal(clone) == (
        "data/mine.dvc: its data is neither in the workspace nor in DVC's cache, and no remote is set; share the cache "
        "of a clone that has it: `dvc cache dir --local CLONE/.dvc/cache`, or make it again: "
        "`croft data add PATH --name mine`"
    )
    run(clone, "dvc", "cache", "dir", "--local", str(main / ".dvc" / "cache"))
    assert reproduce(clone, INPUT, changes=survey(clone).changed[INPUT]).state == "restored"
    assert (clone / "data/mine/1.png").read_bytes() == b"1"


def test_a_clone_with_a_remote_is_told_to_pull(main: Path, tmp_path: Path) -> None:
    run(main, "dvc", "remote", "add", "--default", "shelf", str(tmp_path / "shelf"))
    run(main, "dvc", "push", "-q")
    run(tmp_path, "git", "clone", "-q", str(main), "clone")
    clone = tmp_path / "clone"
    shutil.copyfile(main / ".dvc" / "config", clone / ".dvc" / "config")
    message = refusal(clone)
    assert message == (
        "data/mine.dvc: its data is neither in the workspace nor in DVC's cache; fetch it with `dvc pull data/mine.dvc`"
    )
    run(clone, *re.findall("`(.+)`", message)[0].split())
    assert (clone / "data/mine/1.png").read_bytes() == b"1"


def test_a_git_worktree_is_told_to_share_the_cache_of_the_main_one(main: Path, tmp_path: Path) -> None:
    run(main, "git", "worktree", "add", "-q", str(tmp_path / "side"))
    side = tmp_path / "side"
    message = refusal(side)
    command = f"dvc cache dir --local {main / '.dvc' / 'cache'}"
    assert message == (
        "data/mine.dvc: its data is neither in the workspace nor in DVC's cache, and no remote is set; "
        f"share the cache of the main worktree: `{command}`"
    )
    run(side, *command.split())
    assert reproduce(side, INPUT, changes=survey(side).changed[INPUT]).state == "restored"
    assert (side / "data/mine/1.png").read_bytes() == b"1"


def test_weights_name_the_command_that_adds_a_backbone(main: Path, tmp_path: Path) -> None:
    weights = main / "data" / "backbones" / "vit-b-32.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"2")
    add_and_push(main, weights.relative_to(main))
    weights.unlink()
    shutil.rmtree(main / ".dvc" / "cache")
    with pytest.raises(PipelineError, match="`croft backbone add MODEL TAG --name vit-b-32`"):
        reproduce(main, "data/backbones/vit-b-32.safetensors.dvc", changes="changed outs deleted")


def test_a_source_tree_without_git_is_told_how_to_go_on_and_both_ways_work(
    project: Callable[[dict[str, dict[str, object]]], Path],
) -> None:
    root = project({"count": {"cmd": "ls *.yaml > count.txt", "outs": ["count.txt"]}})
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    advice = r"run `git init` there, or `dvc config --local core\.no_scm true` to work without git"
    with pytest.raises(PipelineError, match=advice):
        survey(root)
    with pytest.raises(PipelineError, match=advice):
        open_cache(root)
    run(root, "dvc", "config", "--local", "core.no_scm", "true")
    assert reproduce(root, "count").state == "executed"
    (root / ".dvc" / "config.local").unlink()
    run(root, "git", "init", "-q")
    assert reproduce(root, "count").state == "up-to-date"
