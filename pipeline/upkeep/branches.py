"""Branches of scheduled runs whose commit another branch has: what is merged needs no name of its own any more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.checkout.git import git
from pipeline.checkout.publish import BRANCHES
from pipeline.errors import PipelineError

_HEADS = "refs/heads/"
_RUNS = f"{_HEADS}{BRANCHES}/"


@dataclass(frozen=True)
class RunBranches:
    """The branches of scheduled runs in a repository.

    Attributes:
        merged: names of those whose commit another local branch, or HEAD, has.
        in_use: the same, of those that are checked out, by the folder in which they are.
        unmerged: how many others there are.
    """

    merged: tuple[str, ...] = ()
    in_use: tuple[tuple[str, str], ...] = ()
    unmerged: int = 0


def run_branches(root: Path) -> RunBranches:
    """Look for them; none where the project is in no git repository."""
    try:
        listed = git(root, "for-each-ref", "--format=%(refname)%00%(worktreepath)", _RUNS).splitlines()
    except PipelineError:
        return RunBranches()
    places = dict(line.split("\0") for line in listed)
    if not places:
        return RunBranches()
    holders = _holders(root)
    merged = {
        ref for holder in holders for ref in _refs(root, f"--merged={holder}", _RUNS) if ref != holder and ref in places
    }
    names = {ref: ref.removeprefix(_HEADS) for ref in places}
    return RunBranches(
        tuple(names[ref] for ref in places if ref in merged and not places[ref]),
        tuple((names[ref], places[ref]) for ref in places if ref in merged and places[ref]),
        sum(ref not in merged for ref in places),
    )


def delete_branch(root: Path, name: str) -> None:
    """Delete a merged branch.

    Raises:
        PipelineError: git refuses, as for one that was checked out meanwhile.
    """
    # By force: git's own test is whether HEAD has the commit, and another branch will do.
    git(root, "branch", "--quiet", "--delete", "--force", "--", name)


def _holders(root: Path) -> list[str]:
    """Refs and commits that hold what is merged into them: local branches of no run, and HEAD if it lasts."""
    local = _refs(root, _HEADS)
    holders = [ref for ref in local if not ref.startswith(_RUNS)]
    try:
        present = git(root, "symbolic-ref", "--quiet", "HEAD")
    except PipelineError:
        pass
    else:
        return [*holders, present] if present in local and present not in holders else holders
    # A detached HEAD is left by the next `git switch`: it holds nothing unless a lasting ref has its commit.
    head = git(root, "rev-parse", "HEAD")
    lasting = [ref for ref in _refs(root, f"--contains={head}") if not ref.startswith(_RUNS)]
    return [*holders, head] if lasting else holders


def _refs(root: Path, *arguments: str) -> list[str]:
    return git(root, "for-each-ref", "--format=%(refname)", *arguments).splitlines()
