"""Which images a data root holds, from names and folders alone: domain/class/image and open_sets/pool/class/image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.layout import (
    DOMAINS_LAYOUT,
    POOLS_LAYOUT,
    Folder,
    folder_problem,
    is_hidden,
    name_problem,
    printable,
)
from pipeline.errors import DataError
from pipeline.images import SHOWN, is_image
from pipeline.tables import GROUPS_FILE, OPEN_SETS, PARTS_FILE


@dataclass(frozen=True)
class Listing:
    """The files of a data root.

    Attributes:
        paths: of the images, relative to the root, POSIX separators, sorted.
        refused: (path, problem) of files whose name or place alone rules them out, sorted.
    """

    paths: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def list_images(root: Path) -> Listing:
    """Find all images below `root`; nothing is decoded. Hidden files and folders, and LITTER, are left out.

    Raises:
        DataError: the folder is missing or holds no domain; a folder lies at the wrong depth, has an invalid or
            reserved name, is a link that leaves the root or cannot be listed; or a class folder holds no file.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder of images; make the built-in one with `dvc repro`, fetch yours with `dvc pull`, "
            "or set data.root"
        )
    listing = Listing()
    walk = _Walk(root, root.resolve(), listing)
    tops = list(walk.folders(root, "domain", DOMAINS_LAYOUT))
    domains = [entry for entry in tops if entry.name != OPEN_SETS]
    if not domains:
        raise DataError(f"{root}: no folders of domains found; expected {DOMAINS_LAYOUT}")
    for domain in domains:
        walk.classes(domain, "a domain without class folders", DOMAINS_LAYOUT)
    for pools in (entry for entry in tops if entry.name == OPEN_SETS):
        for pool in walk.folders(pools, "pool", POOLS_LAYOUT):
            walk.classes(pool, "a pool without class folders", POOLS_LAYOUT)
    listing.paths.sort()
    listing.refused.sort()
    return listing


@dataclass(frozen=True)
class _Walk:
    root: Path
    inside: Path  # the root with all links resolved
    listing: Listing

    def folders(self, parent: Path | os.DirEntry[str], kind: Folder, layout: str) -> Iterator[os.DirEntry[str]]:
        at_root = parent == self.root
        for entry in entries(parent):
            if _is_folder(entry):
                known = at_root and entry.name == OPEN_SETS
                problem = ("" if known else folder_problem(kind, entry.name)) or self._link_problem(entry)
                if problem:
                    raise DataError(f"{printable(entry.path)}: {problem}")
                yield entry
            elif not (at_root and entry.name in (PARTS_FILE, GROUPS_FILE)):
                path = os.path.relpath(entry.path, self.root).replace(os.sep, "/")
                problem = self._file_name_problem(entry) or f"a file at the wrong depth; expected {layout}"
                self.listing.refused.append((printable(path), problem))

    def classes(self, parent: os.DirEntry[str], empty: str, layout: str) -> None:
        classes = list(self.folders(parent, "class", layout))
        if not classes:
            raise DataError(f"{parent.path}: {empty}; expected {layout}")
        for class_ in classes:
            prefix = os.path.relpath(class_.path, self.root).replace(os.sep, "/")
            count = 0
            for entry in entries(class_):
                if _is_folder(entry):
                    raise DataError(f"{printable(entry.path)}: a folder inside a class folder; expected {layout}")
                count += 1
                problem = self._file_name_problem(entry) or _file_problem(entry)
                if problem:
                    self.listing.refused.append((f"{prefix}/{printable(entry.name)}", problem))
                else:
                    self.listing.paths.append(f"{prefix}/{entry.name}")
            if not count:
                raise DataError(f"{class_.path}: a class folder without images; add some or remove it")

    def _file_name_problem(self, entry: os.DirEntry[str]) -> str:
        problem = name_problem(entry.name)
        return f"the name {problem}; rename it" if problem else self._link_problem(entry)

    def _link_problem(self, entry: os.DirEntry[str]) -> str:
        if entry.is_symlink() and self._leaves(Path(entry.path)):
            return f"a link that leaves {self.inside.name}; put the file itself there (DVC: cache.type copy)"
        return ""

    def _leaves(self, link: Path) -> bool:
        try:  # every link is resolved, so a link inside that leads out through another one is seen too
            return not link.resolve().is_relative_to(self.inside)
        except (OSError, RuntimeError):  # a link to itself
            return False


def entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """The files and folders of a folder, sorted by name, but for hidden ones.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as listed:
            return sorted((entry for entry in listed if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{printable(os.fspath(folder))}: cannot be listed: {error.strerror}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _file_problem(entry: os.DirEntry[str]) -> str:
    try:
        is_file = entry.is_file()
    except OSError:
        is_file = False
    if not is_file:  # a pipe would keep the reader waiting for ever
        return "not a regular file, or a link that leads nowhere"
    if not is_image(Path(entry.path)):
        return f"not an image file; expected {SHOWN}; remove it or hide it with a dot"
    return ""
