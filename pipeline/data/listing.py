"""Which images a data root holds, from names and folders alone: domain/class/image and open_sets/pool/class/image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DataError
from pipeline.images import SUFFIXES
from pipeline.tables import DEPLOY, IN_DISTRIBUTION, MEAN, OPEN_SETS, PARTS_FILE, ROLES, UNKNOWN_CLASSES

DOMAINS_LAYOUT = "domain/class/image"
POOLS_LAYOUT = f"{OPEN_SETS}/pool/class/image"
_TAKEN = {
    DEPLOY: "which stands for all domains",
    MEAN: "which stands for all domains",
    IN_DISTRIBUTION: "which stands for no held-out domain",
}

LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})
"""What Windows, macOS and network drives leave in folders, in small letters; passed over like hidden files."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f]")  # would break the lines and tables that name the file


@dataclass(frozen=True)
class Listing:
    """What was found.

    Attributes:
        paths: of the images, relative to the root, POSIX separators, sorted.
        refused: (path, problem) of files whose name or place alone rules them out, sorted.
    """

    paths: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def list_images(root: Path) -> Listing:
    """Find all images below `root`; nothing is decoded. Hidden files and folders, and LITTER, are left out.

    Raises:
        DataError: the folder is missing or holds no domain, a folder lies at the wrong depth or is called as nothing
            can be, is a link that leaves the root or cannot be listed, or a class folder holds no file.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder of images; make the built-in one with `dvc repro`, fetch yours with `dvc pull`, "
            "or set data.root"
        )
    found = Listing()
    walk = _Walk(root, root.resolve(), found)
    tops = list(walk.folders(root, DOMAINS_LAYOUT, reserved=PARTS_FILE))
    domains = [entry for entry in tops if entry.name != OPEN_SETS]
    if not domains:
        raise DataError(f"{root}: holds no folders of domains; expected {DOMAINS_LAYOUT}")
    for domain in domains:
        if domain.name in _TAKEN:
            raise DataError(
                f"{domain.path}: a domain cannot be called {domain.name!r}, {_TAKEN[domain.name]}; rename it"
            )
        walk.classes(domain, "a domain without class folders", DOMAINS_LAYOUT)
    for pools in (entry for entry in tops if entry.name == OPEN_SETS):
        for pool in walk.folders(pools, POOLS_LAYOUT):
            if pool.name in (UNKNOWN_CLASSES, *ROLES):
                raise DataError(
                    f"{pool.path}: a pool cannot be called {pool.name!r}, which stands for images of the domains; "
                    "rename it"
                )
            walk.classes(pool, "a pool without class folders", POOLS_LAYOUT)
    found.paths.sort()
    found.refused.sort()
    return found


@dataclass(frozen=True)
class _Walk:
    root: Path
    inside: Path  # the root with all links resolved
    found: Listing

    def folders(self, parent: Path | os.DirEntry[str], layout: str, reserved: str = "") -> Iterator[os.DirEntry[str]]:
        for entry in _entries(parent):
            if _is_folder(entry):
                problem = self._name_problem(entry)
                if problem:
                    raise DataError(f"{printable(entry.path)}: {problem}")
                yield entry
            elif entry.name != reserved:
                path = os.path.relpath(entry.path, self.root).replace(os.sep, "/")
                problem = self._name_problem(entry) or f"a file at the wrong depth; expected {layout}"
                self.found.refused.append((printable(path), problem))

    def classes(self, parent: os.DirEntry[str], empty: str, layout: str) -> None:
        classes = list(self.folders(parent, layout))
        if not classes:
            raise DataError(f"{parent.path}: {empty}; expected {layout}")
        for class_ in classes:
            prefix = os.path.relpath(class_.path, self.root).replace(os.sep, "/")
            count = 0
            for entry in _entries(class_):
                if _is_folder(entry):
                    raise DataError(f"{printable(entry.path)}: a folder inside a class folder; expected {layout}")
                count += 1
                problem = self._name_problem(entry) or _file_problem(entry)
                if problem:
                    self.found.refused.append((f"{prefix}/{printable(entry.name)}", problem))
                else:
                    self.found.paths.append(f"{prefix}/{entry.name}")
            if not count:
                raise DataError(f"{class_.path}: a class folder without images; add some or remove it")

    def _name_problem(self, entry: os.DirEntry[str]) -> str:
        if not is_utf8(entry.name):
            return "the name is not UTF-8; rename it"
        if _UNPRINTABLE.search(entry.name):
            return "the name holds a control character; rename it"
        if entry.is_symlink() and self._leaves(Path(entry.path)):
            return f"a link that leaves {self.inside.name}; put the file itself there (DVC: cache.type copy)"
        return ""

    def _leaves(self, link: Path) -> bool:
        try:  # every link is resolved, so a link inside that leads out through another one is seen too
            return not link.resolve().is_relative_to(self.inside)
        except (OSError, RuntimeError):  # a link to itself
            return False


def _entries(folder: Path | os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{printable(os.fspath(folder))}: cannot be listed: {error.strerror}") from None
    return (entry for entry in ordered if not is_hidden(entry.name))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over: it begins with a dot, or is one of LITTER."""
    return name.startswith(".") or name.lower() in LITTER


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _file_problem(entry: os.DirEntry[str]) -> str:
    if os.path.splitext(entry.name)[1].lower() not in SUFFIXES:
        return f"not an image file; expected {', '.join(SUFFIXES)}; remove it or hide it with a dot"
    try:
        is_file = entry.is_file()
    except OSError:
        is_file = False
    # a pipe would keep the reader waiting for ever
    return "" if is_file else "not a regular file, or a link that leads nowhere"


def is_utf8(name: str) -> bool:
    """Whether a name of the file system is text; other names reach Python with their bytes escaped."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """A name as one line of messages and tables can hold it."""
    shown = name if is_utf8(name) else os.fsencode(name).decode("utf-8", "backslashreplace")
    return _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)
