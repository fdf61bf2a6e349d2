"""A folder of any depth, walked without leaving it: every file is seen, and opened where its ending is no image's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from pipeline.data.layout import UNLABELLED, is_hidden, printable
from pipeline.errors import DataError
from pipeline.images import is_image

_DEEPEST = 32  # levels of folders; every layout has fewer, and Python's stack has room for more

Folders = tuple[str, ...]
"""Names of the folders from the root down to a file."""


class Kind(Enum):
    """What a name stands for; the value says why everything but an image is left out."""

    IMAGE = ""
    OTHER = "not images"
    HIDDEN = "hidden or system files"
    SPECIAL = "neither files nor folders"
    EMPTY = "folders without files"


class Item(NamedTuple):
    """One file, or one folder that is not looked into (hidden, or empty)."""

    folders: Folders
    name: str
    path: Path  # resolved
    kind: Kind

    @property
    def relative(self) -> str:
        """The path below the root, as messages can hold it."""
        return printable("/".join([*self.folders, self.name]))


@dataclass
class Tree:
    """What a folder holds.

    Attributes:
        firsts: each folder with images directly in it, and the name of the first of them.
        others: each other folder, and the names of the files directly in it.
        without: of images without a label, why they have none; "" where there are none.
    """

    firsts: dict[Folders, str] = field(default_factory=dict)
    others: dict[Folders, list[str]] = field(default_factory=dict)
    without: str = ""

    def add(self, folders: Folders) -> None:
        """A folder, and those above it, as holding nothing yet."""
        for end in range(len(folders), 0, -1):
            if folders[:end] in self.others:
                break
            self.others[folders[:end]] = []


def unlabelled(folders: Folders) -> str:
    """Why images directly in a folder have no label, as a report says it; "" where their folder is their class."""
    name = folders[-1] if folders else ""
    return f"in {name}/, where {UNLABELLED[name]} puts images without a label" if name in UNLABELLED else ""


def read_tree(root: Path) -> Tree:
    """Where the images of a folder are, but for those without a label.

    Args:
        root: resolved.
    Raises:
        DataError: as `scan`.
    """
    tree = Tree(others={(): []})
    for item in scan(root):
        if item.kind is Kind.IMAGE and (reason := unlabelled(item.folders)):
            tree.without = reason
            continue
        tree.add((*item.folders, item.name) if item.kind is Kind.EMPTY else item.folders)
        if item.kind is Kind.IMAGE:
            tree.firsts.setdefault(item.folders, item.name)
        elif item.kind is Kind.OTHER:
            tree.others[item.folders].append(item.name)
    for folders in tree.firsts:
        del tree.others[folders]
    return tree


def scan(root: Path) -> Iterator[Item]:
    """Every file below a folder, sorted; hidden and empty folders as one item each.

    Args:
        root: resolved; nothing outside it is looked at.
    Raises:
        DataError: a folder cannot be listed or lies too deep; a link leaves the root, or leads nowhere or in a circle.
    """
    yield from _scan(root, root, (), (root,))


def scan_flat(root: Path, folder: Path) -> Iterator[Item]:
    """Every file directly in a folder, sorted.

    Args:
        root: resolved; nothing outside it is looked at.
        folder: in the root.
    Raises:
        DataError: as `scan`, or the folder holds another one.
    """
    names = folder.relative_to(root).parts
    for entry in _listed(folder):
        item = _item(root, entry, names)
        if item is None:
            raise DataError(f"{printable(entry.path)}: a folder among images; move it, or hide it with a dot")
        yield item


def _scan(root: Path, folder: Path, names: Folders, above: tuple[Path, ...]) -> Iterator[Item]:
    for entry in _listed(folder):
        item = _item(root, entry, names)
        if item is not None:
            yield item
            continue
        inner = inside(root, entry)
        if any(parent.is_relative_to(inner) for parent in above):
            raise DataError(f"{printable(entry.path)}: a link to a folder that holds it; remove the link")
        if len(above) > _DEEPEST:
            raise DataError(f"{printable(entry.path)}: more than {_DEEPEST} levels of folders; add one further down")
        empty = True
        for below in _scan(root, inner, (*names, entry.name), (*above, inner)):
            empty = False
            yield below
        if empty:
            yield Item(names, entry.name, inner, Kind.EMPTY)


def _item(root: Path, entry: os.DirEntry[str], names: Folders) -> Item | None:
    """What an entry is; None for a folder that is to be looked into."""
    if is_hidden(entry.name):
        return Item(names, entry.name, Path(entry.path), Kind.HIDDEN)
    path = inside(root, entry)
    if entry.is_dir():
        return None
    if not entry.is_file():  # a pipe would keep its reader waiting for ever
        return Item(names, entry.name, path, Kind.SPECIAL)
    return Item(names, entry.name, path, Kind.IMAGE if is_image(path) else Kind.OTHER)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """Everything in a folder, sorted by name.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as inside_it:
            return sorted(inside_it, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{printable(str(folder))}: cannot be listed: {error.strerror}") from None


def inside(root: Path, entry: os.DirEntry[str]) -> Path:
    """The file or folder itself; a link is followed if it stays below the root.

    Raises:
        DataError: it leads out of the root, or to nothing.
    """
    if not entry.is_symlink():
        return Path(entry.path)
    shown = printable(entry.path)
    try:
        target = Path(entry.path).resolve()
    except (OSError, RuntimeError):  # RuntimeError: a link to itself
        raise DataError(f"{shown}: a link to nothing; remove it") from None
    if not target.is_relative_to(root):
        raise DataError(f"{shown}: a link that leaves {root.name}; put the file itself there, or give its folder")
    if not target.exists():
        raise DataError(f"{shown}: a link to nothing; remove it")
    return target
