"""What a run in a checkout leaves: its bytes in the remote, and a branch in the project's repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.checkout.git import git, person
from pipeline.checkout.make import Checkout
from pipeline.dvc_runner.graph import parse_dot
from pipeline.dvc_runner.program import query
from pipeline.dvc_runner.remote import send
from pipeline.errors import PipelineError

BRANCHES = "croft/runs"
_WRITTEN = ("dvc.lock", ".dvc", ".gitignore")  # ends of the names of files that DVC writes for git to keep


@dataclass(frozen=True)
class Publication:
    """Attributes:
    branch: in the project's repository; "" where the run changed nothing.
    commit: that the run ended with.
    remote: of DVC, that has every byte of it; "" without one.
    """

    branch: str
    commit: str
    remote: str = ""

    def __str__(self) -> str:
        if not self.branch:
            return "nothing to publish: the revision has these results already"
        place = f", pushed to the remote {self.remote!r} and listed there" if self.remote else ""
        return f"branch {self.branch} ({self.commit[:12]}){place}"


def publish(checkout: Checkout, targets: Sequence[str] = ()) -> Publication:
    """Commit what DVC wrote, push its bytes to the default remote, then the commit as a branch of the project.

    A ref is all that the project gets: its tree, index and HEAD stay. Where a branch holds the same files already, as
    after a run that only restored what an earlier one made, that branch is named and no other is made.

    Args:
        checkout: in which the run has ended.
        targets: of the run; those of the root dvc.yaml by default.
    Raises:
        PipelineError: the remote or the project's repository did not take it.
    """
    commit = _commit(checkout)
    if commit == checkout.commit:
        return Publication("", commit)
    remote = send(checkout.root, parse_dot(query(checkout.root, "dag", "--dot")).order(targets))
    if branch := _same(checkout):
        return Publication(branch, git(checkout.folder, "rev-parse", f"refs/remotes/origin/{branch}"), remote)
    branch = f"{BRANCHES}/{checkout.name}"
    git(checkout.folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    listed = git(checkout.folder, "ls-remote", "origin", f"refs/heads/{branch}").partition("\t")[0]
    if listed != commit:
        raise PipelineError(
            f"{checkout.project}: branch {branch} is not at {commit[:12]} after the push; push it again"
        )
    return Publication(branch, commit, remote)


def _commit(checkout: Checkout) -> str:
    """Commit DVC's own files; the commit that HEAD names then."""
    root = checkout.root
    changed = git(root, "ls-files", "--modified", "--others", "--exclude-standard", "-z").split("\0")
    files = [name for name in changed if name.endswith(_WRITTEN) and (root / name).is_file()]
    if files:
        git(root, "add", "--", *files)
        message = f"Results of run {checkout.name}"
        git(root, "commit", "--quiet", "--message", message, settings=person(checkout.project))
    return git(root, "rev-parse", "HEAD")


def _same(checkout: Checkout) -> str:
    """The branch of an earlier run that holds the same files, "" for none."""
    refspec = f"+refs/heads/{BRANCHES}/*:refs/remotes/origin/{BRANCHES}/*"
    git(checkout.folder, "fetch", "--quiet", "origin", refspec)
    pattern = f"refs/remotes/origin/{BRANCHES}"
    lines = git(checkout.folder, "for-each-ref", "--format=%(tree) %(refname)", pattern).splitlines()
    tree = git(checkout.folder, "rev-parse", "HEAD^{tree}")
    names = [line.split(" ", 1)[1] for line in lines if line.startswith(f"{tree} ")]
    return names[-1].removeprefix("refs/remotes/origin/") if names else ""
