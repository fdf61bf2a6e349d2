"""Making, keeping and removing a checkout."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.checkout.data import Choice, pin
from pipeline.checkout.git import git, person
from pipeline.checkout.owner import claim, clean, forget
from pipeline.dvc_runner.lock import commit_of
from pipeline.dvc_runner.settings import carry_settings
from pipeline.errors import PipelineError
from pipeline.origin import CHECKOUTS, WORKSPACE_FILE, workspace
from pipeline.tables import write_text

EMPTY: Mapping[str, Choice] = {}
COMMIT_FILE = Path(".croft") / "revision"
"""In a checkout: the commit of the stated revision, which its HEAD may have left."""


@dataclass(frozen=True)
class Checkout:
    """A clone of the project's repository, detached at a revision.

    Attributes:
        project: that it was made for; its stores, cache and repository are used, its files never touched.
        folder: of the clone.
        root: the project in it; `folder` itself unless the project is a part of its repository.
        commit: of the stated revision.
    """

    project: Path
    folder: Path
    root: Path
    commit: str

    @property
    def name(self) -> str:
        """Time and a few random characters; unique in the project."""
        return self.folder.name

    def keep(self) -> str:
        """Let it outlive this process, and say where it is."""
        claim(self.folder, kept=True)
        return f"the checkout is kept: {self.root}"

    def remove(self) -> None:
        """Remove it."""
        forget(self.folder)


def make_checkout(
    project: Path, revision: str = "HEAD", data: Mapping[str, Choice] = EMPTY, *, place: Path = CHECKOUTS
) -> Checkout:
    """Clone the project beside its stores, with the cache of its DVC; the project's tree, index and HEAD stay.

    A checkout belongs to the process that made it; what processes that are gone left is removed first. Data sets that
    are asked for by name are committed in the clone, so that its HEAD names everything that a run there reads.

    Args:
        project: where dvc.yaml is, in a git repository.
        revision: that the checkout holds: a branch, a tag, a commit, or the name of an experiment of DVC.
        data: data sets to use at another version than the revision's, by name.
        place: the folder of the project for it; in another one than CHECKOUTS, its runs have stores of their own.
    Raises:
        PipelineError: the project is in no git repository, has no such revision, or DVC refuses.
        ParamsError, DataError: `data` names no version.
    """
    project = workspace(project)
    try:
        repository = Path(git(project, "rev-parse", "--path-format=absolute", "--git-common-dir"))
        prefix = git(project, "rev-parse", "--show-prefix")
    except PipelineError:
        raise PipelineError(
            f"{project}: checkouts are clones of a git repository, and this folder is in none; run `git init`"
        ) from None
    commit = find_commit(project, revision)
    clean(project, place)
    name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    folder = project / place / name
    checkout = Checkout(project, folder, folder / prefix, commit)
    claim(folder)
    try:
        # Not `git worktree`: that writes into the project's repository and shares its stash and its bisect.
        git(project, "clone", "--quiet", "--shared", "--no-checkout", str(repository), str(folder))
        git(folder, "checkout", "--quiet", "--detach", commit)
        _furnish(checkout)
        _pin(checkout, data)
    except BaseException:
        checkout.remove()
        raise
    return checkout


def open_checkout(root: Path) -> Checkout | None:
    """The checkout that `root` is the project of; None where it is none.

    Raises:
        PipelineError: git refuses.
    """
    root = root.resolve()
    file = root / COMMIT_FILE
    if not file.is_file() or workspace(root) == root:
        return None
    folder = Path(git(root, "rev-parse", "--show-toplevel"))
    return Checkout(workspace(root), folder, root, file.read_text(encoding="utf-8").strip())


@contextlib.contextmanager
def checkout(
    project: Path, revision: str = "HEAD", data: Mapping[str, Choice] = EMPTY, *, tell: Callable[[str], object] = print
) -> Iterator[Checkout]:
    """A checkout that is removed when the block ends, and kept, with a line that says where, when it fails."""
    made = make_checkout(project, revision, data)
    try:
        yield made
    except BaseException:
        tell(made.keep())
        raise
    made.remove()


def find_commit(project: Path, revision: str) -> str:
    """The commit that a branch, a tag, a commit or the name of an experiment of DVC stands for.

    Raises:
        PipelineError: it stands for none.
    """
    with contextlib.suppress(PipelineError):
        return git(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit := commit_of(project, revision):  # the name of an experiment
        return commit
    raise PipelineError(f"{project}: no revision {revision!r} here; expected a branch, a tag or a commit")


def _furnish(checkout: Checkout) -> None:
    if not (checkout.root / ".dvc").is_dir():
        raise PipelineError(f"{checkout.project}: no DVC project at {checkout.commit[:12]}; commit .dvc and dvc.yaml")
    carry_settings(checkout.project, checkout.root)
    write_text(f"{checkout.project}\n", checkout.root / WORKSPACE_FILE)
    write_text(f"{checkout.commit}\n", checkout.root / COMMIT_FILE)
    # Neither is the revision's: git status there has to name what the run changed.
    exclude = checkout.folder / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    with exclude.open("a", encoding="utf-8") as file:
        file.write(".croft/\n.dvc/config.local\n.dvc/tmp\n")


def _pin(checkout: Checkout, data: Mapping[str, Choice]) -> None:
    files = pin(checkout.project, checkout.root, data)
    if files:
        git(checkout.root, "add", "--", *map(os.fspath, files))
        message = f"Data: {', '.join(f'{name}@{choice}' for name, choice in data.items())}"
        git(checkout.root, "commit", "--quiet", "--message", message, settings=person(checkout.project))
