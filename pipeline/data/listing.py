"""Which images a data root holds, from names and folders alone: domain/class/image and open_sets/pool/class/image."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DataError
from pipeline.images import SUFFIXES
from pipeline.tables import DEPLOY, MEAN, OPEN_SETS

DOMAINS_LAYOUT = "domain/class/image"
POOLS_LAYOUT = f"{OPEN_SETS}/pool/class/image"


@dataclass(frozen=True)
class Listing:
    """What was found.

    Attributes:
        paths: of the images, relative to the root, POSIX separators, sorted.
        refused: (path, problem) of files whose name or place alone rules them out.
    """

    paths: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def list_images(root: Path) -> Listing:
    """Find all images below `root`; nothing is decoded. Hidden files and folders are left out.

    Raises:
        DataError: the folder is missing or holds no domain, a file lies at the wrong depth, a folder's name is not
            UTF-8, a folder is a link that leaves the root or cannot be listed, or a class folder holds no file.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder of images; make the built-in one with `dvc repro`, fetch yours with `dvc pull`, "
            "or set data.root"
        )
    found = Listing()
    inside = root.resolve()
    tops = list(_folders(root, root, inside, DOMAINS_LAYOUT))
    domains = [entry for entry in tops if entry.name != OPEN_SETS]
    if not domains:
        raise DataError(f"{root}: holds no folders of domains; expected {DOMAINS_LAYOUT}")
    for domain in domains:
        if domain.name in (DEPLOY, MEAN):
            raise DataError(
                f"{domain.path}: a domain cannot be called {domain.name!r}, which stands for all domains; rename it"
            )
        _classes(domain, root, inside, found, "a domain without class folders", DOMAINS_LAYOUT)
    for pools in (entry for entry in tops if entry.name == OPEN_SETS):
        for pool in _folders(pools, root, inside, POOLS_LAYOUT):
            _classes(pool, root, inside, found, "a pool without class folders", POOLS_LAYOUT)
    found.paths.sort()
    found.refused.sort()
    return found


def _classes(parent: os.DirEntry[str], root: Path, inside: Path, found: Listing, empty: str, layout: str) -> None:
    classes = list(_folders(parent, root, inside, layout))
    if not classes:
        raise DataError(f"{parent.path}: {empty}; expected {layout}")
    for class_ in classes:
        prefix = os.path.relpath(class_.path, root).replace(os.sep, "/")
        count = 0
        for entry in _entries(class_):
            if entry.is_dir():
                raise DataError(f"{entry.path}: a folder inside a class folder; expected {layout}")
            count += 1
            problem = _problem(entry, inside)
            if problem:
                found.refused.append((f"{prefix}/{_printable(entry.name)}", problem))
            else:
                found.paths.append(f"{prefix}/{entry.name}")
        if not count:
            raise DataError(f"{class_.path}: a class folder without images; add some or remove it")


def _folders(parent: Path | os.DirEntry[str], root: Path, inside: Path, layout: str) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(parent):
        if not _is_utf8(entry.name):
            raise DataError(f"{os.fsencode(entry.path)!r}: the name is not UTF-8; rename it")
        if _leaves(entry, inside):
            raise DataError(f"{entry.path}: {_link(inside)}")
        if not entry.is_dir():
            raise DataError(f"{entry.path}: a file at the wrong depth; below {root} expected {layout}")
        yield entry


def _entries(folder: Path | os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{_printable(os.fspath(folder))}: cannot be listed: {error.strerror}") from None
    return (entry for entry in entries if not entry.name.startswith("."))


def _problem(entry: os.DirEntry[str], inside: Path) -> str:
    if not _is_utf8(entry.name):
        return "the name is not UTF-8; rename it"
    if _leaves(entry, inside):
        return _link(inside)
    if Path(entry.name).suffix.lower() not in SUFFIXES:
        return f"not an image file; expected {', '.join(SUFFIXES)}; remove it or hide it with a dot"
    return ""


def _leaves(entry: os.DirEntry[str], inside: Path) -> bool:
    # every link is resolved, so a link inside that leads out through another one is seen too
    return entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(inside)


def _link(inside: Path) -> str:
    return f"a link that leaves {inside.name}; put the file itself there (DVC: cache.type copy)"


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _printable(name: str) -> str:
    return name if _is_utf8(name) else os.fsencode(name).decode("utf-8", "backslashreplace")
