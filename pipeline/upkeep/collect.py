"""The garbage of a workspace: what it is, how large, and its removal."""

from __future__ import annotations

import contextlib
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.checkout.owner import dead, forget
from pipeline.errors import CroftError
from pipeline.origin import CHECKOUTS, REPRODUCTIONS, workspace
from pipeline.registry.epochs import read_journal
from pipeline.registry.versions import open_registry
from pipeline.tracking.client import existing, reported, shown_uri
from pipeline.tracking.garbage import Dead, Version, find_dead, free
from pipeline.tracking.local import sqlite_file
from pipeline.upkeep.branches import delete_branch, run_branches
from pipeline.upkeep.temporary import find_temporary, is_old
from pipeline.versioning.names import FOLDER
from pipeline.versioning.workspace import Workspace

Kind = Literal["run", "model", "checkout", "addition", "temporary", "branch"]
_ADDING = ".adding-"
_BLOCK = 512  # bytes of `st_blocks`, whatever the file system's own blocks have


@dataclass(frozen=True)
class Item:
    """One thing that can be freed.

    Attributes:
        kind: a deleted MLflow run, a model of such a run, the folder of a dead checkout, of a `croft data add` that
            was killed, a temporary file, or the merged branch of a scheduled run.
        name: for people: a path in the workspace, an id, or a branch.
        bytes: on disk.
        remove: frees it.
    """

    kind: Kind
    name: str
    bytes: int
    remove: Callable[[], None]


@dataclass(frozen=True)
class Garbage:
    """Attributes:
    items: what can be freed.
    kept: what was deleted and is needed, or lies elsewhere, in words.
    server: address of the store, where only its operator can free anything; else "".
    unmerged: branches of scheduled runs whose results no other branch has.
    """

    items: tuple[Item, ...]
    kept: tuple[str, ...] = ()
    server: str = ""
    unmerged: int = 0

    @property
    def bytes(self) -> int:
        """Of all items."""
        return sum(item.bytes for item in self.items)


def find_garbage(root: Path, name: str) -> Garbage:
    """Look for what can be freed; nothing is changed.

    Args:
        root: the project.
        name: of the registered model, whose journal is read.
    Raises:
        TrackingError: the server cannot be reached.
    """
    root = workspace(root)
    items: list[Item] = []
    kept: list[str] = []
    client, uri = open_registry(root)
    database = sqlite_file(uri)
    if database is not None:
        with reported(uri):
            needed: set[Version] = set()
            if existing(lambda: client.get_registered_model(name)) is not None:
                journal = read_journal(client, name)
                numbers = {journal.alias} | {n for entry in journal.entries for n in (entry.before, entry.after)}
                needed = {(name, number) for number in numbers if number}
        for one in find_dead(database, root, needed):
            if one.kept_for:
                kept.append(f"{one.kind} {one.id} was deleted, and {one.kept_for} needs it")
            elif one.elsewhere:
                kept.append(f"{one.kind} {one.id}: its files are not in this workspace's store: {one.elsewhere}")
            else:
                items.append(Item(one.kind, f"{one.name} {one.id}".strip(), size(one.folder), _freeing(database, one)))
    items += _checkouts(root)
    items += _additions(root)
    items += [
        Item("temporary", path.relative_to(root).as_posix(), size(path), _removing(path))
        for path in find_temporary(root)
    ]
    branches = run_branches(root)
    items += [Item("branch", name, 0, _deleting(root, name)) for name in branches.merged]
    kept += [f"branch {name} is merged, and checked out in {place}" for name, place in branches.in_use]
    return Garbage(tuple(items), tuple(kept), "" if database is not None else shown_uri(uri), branches.unmerged)


def collect(items: Sequence[Item]) -> Iterator[tuple[Item, str]]:
    """Free the items, one by one; each with "" or why it was not freed."""
    for item in items:
        try:
            item.remove()
        except (OSError, CroftError) as error:
            yield item, str(error)
        else:
            yield item, ""


def size(path: Path | None) -> int:
    """Bytes on disk that go with a file or folder; those of a file that has other names too do not go."""
    if path is None or not path.exists():
        return 0
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    total = 0
    for item in (path, *inside):
        with contextlib.suppress(OSError):
            status = item.lstat()
            total += _BLOCK * status.st_blocks if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 else 0
    return total


def _checkouts(root: Path) -> list[Item]:
    folders = [folder for place in (CHECKOUTS, REPRODUCTIONS) for folder in dead(root, place)]
    return [
        Item("checkout", folder.relative_to(root).as_posix(), size(folder), _forgetting(folder)) for folder in folders
    ]


def _additions(root: Path) -> list[Item]:
    """What a killed `croft data add` was building; the removal mends it as the next one would, and waits for none."""
    names = {path.name.removesuffix(".old") for path in (root / FOLDER).glob(f"{_ADDING}*") if is_old(path)}
    return [
        Item("addition", f"{FOLDER.as_posix()}/{name}", size(root / FOLDER / name), _mending(root, name))
        for name in sorted(names)
    ]


def _mending(root: Path, name: str) -> Callable[[], None]:
    def mend() -> None:
        with Workspace(root, name.removeprefix(_ADDING)).locked():
            pass

    return mend


def _freeing(database: Path, one: Dead) -> Callable[[], None]:
    return lambda: free(database, one)


def _deleting(root: Path, name: str) -> Callable[[], None]:
    return lambda: delete_branch(root, name)


def _forgetting(folder: Path) -> Callable[[], None]:
    return lambda: forget(folder)


def _removing(path: Path) -> Callable[[], None]:
    def remove() -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    return remove
