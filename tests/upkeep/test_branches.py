"""Branches of scheduled runs in real repositories: what is merged goes, what nothing else holds stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pictures import ROOT, commit, git

from pipeline.errors import PipelineError
from pipeline.tracking.client import URI_VARIABLE
from pipeline.upkeep.branches import RunBranches, delete_branch, run_branches
from pipeline.upkeep.collect import collect, find_garbage

RUNS = "croft/runs"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """main with one commit, and branches of runs that each add one to it: fast (which main has then), merged (into the
    branch side, by a merge commit), alone.
    """
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "t")
    git(root, "config", "user.email", "t@example.org")
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (root / ".gitignore").write_text(".croft/\n")
    commit(root, "start")
    for name in ("fast", "merged", "alone"):
        git(root, "switch", "-q", "-c", f"{RUNS}/{name}", "main")
        (root / f"{name}.lock").write_text(name)
        commit(root, f"results of {name}")
    git(root, "switch", "-q", "-c", "side", "main")
    (root / "work.txt").write_text("work")
    commit(root, "work")
    git(root, "merge", "-q", "--no-edit", f"{RUNS}/merged")
    git(root, "switch", "-q", "main")
    git(root, "merge", "-q", "--ff-only", f"{RUNS}/fast")
    return root


def branches(root: Path) -> list[str]:
    return git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def test_what_another_branch_has_goes_and_the_rest_stays(root: Path) -> None:
    assert run_branches(root) == RunBranches((f"{RUNS}/fast", f"{RUNS}/merged"), (), 1)
    before, head = branches(root), git(root, "rev-parse", "HEAD")
    garbage = find_garbage(root, "croft")
    assert [(item.kind, item.name, item.bytes) for item in garbage.items] == [
        ("branch", f"{RUNS}/fast", 0), ("branch", f"{RUNS}/merged", 0)
    ]  # fmt: skip
    assert branches(root) == before
    assert [trouble for _, trouble in collect(garbage.items)] == ["", ""]
    assert branches(root) == [f"{RUNS}/alone", "main", "side"]
    assert git(root, "rev-parse", "HEAD") == head
    assert git(root, "log", "--all", "--format=%s").count("results of") == 3  # every commit is still held


def test_runs_that_hold_each_other_stay(root: Path) -> None:
    git(root, "branch", f"{RUNS}/twin", f"{RUNS}/alone")
    assert run_branches(root).merged == (f"{RUNS}/fast", f"{RUNS}/merged")
    # The branch that is checked out holds what is merged into it, and not itself.
    git(root, "switch", "-q", f"{RUNS}/twin")
    found = run_branches(root)
    assert (found.merged, found.in_use, found.unmerged) == ((f"{RUNS}/alone", f"{RUNS}/fast", f"{RUNS}/merged"), (), 1)


def test_a_detached_head_holds_what_a_lasting_ref_has(root: Path) -> None:
    git(root, "switch", "-q", "--detach", f"{RUNS}/alone")
    assert run_branches(root) == RunBranches((f"{RUNS}/fast", f"{RUNS}/merged"), (), 1)
    git(root, "tag", "v1")
    assert run_branches(root) == RunBranches((f"{RUNS}/alone", f"{RUNS}/fast", f"{RUNS}/merged"), (), 0)


def test_a_branch_that_is_checked_out_stays_and_is_named(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", str(tmp_path / "look"), f"{RUNS}/merged")
    found = run_branches(root)
    assert (found.merged, found.in_use) == ((f"{RUNS}/fast",), ((f"{RUNS}/merged", str(tmp_path / "look")),))
    assert find_garbage(root, "croft").kept == (
        f"branch {RUNS}/merged is merged, and checked out in {tmp_path / 'look'}",
    )
    with pytest.raises(PipelineError, match=r"merged' (used by worktree|checked out) at"):
        delete_branch(root, f"{RUNS}/merged")
    assert f"{RUNS}/merged" in branches(root)


def test_a_branch_without_a_commit_holds_nothing(root: Path) -> None:
    git(root, "switch", "-q", "--orphan", "empty")
    assert run_branches(root) == RunBranches((f"{RUNS}/fast", f"{RUNS}/merged"), (), 1)


def test_a_folder_outside_git_has_none(tmp_path: Path) -> None:
    assert run_branches(tmp_path) == RunBranches()


def test_the_command_names_them(root: Path) -> None:
    def croft(*arguments: str) -> str:
        command = [sys.executable, "-m", "pipeline.cli", "gc", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    before = branches(root)
    said = croft("--dry-run")
    assert f"2 merged branches of scheduled runs:\n  {RUNS}/fast\n  {RUNS}/merged\n" in said
    assert (
        "1 branch of scheduled runs stays, merged into no other: `git branch --list 'croft/runs/*'` lists them, "
        "`git branch -D NAME` deletes one\n"
    ) in said
    assert branches(root) == before
    assert f"2 merged branches of scheduled runs:\n  {RUNS}/fast\n" in croft()
    assert branches(root) == [f"{RUNS}/alone", "main", "side"]
    assert "merged branch" not in croft()
