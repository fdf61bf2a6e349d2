"""Where images lie below a data root and what folders may be called: one rule for whatever adds, lists or reads images.

A data root holds domain/class/image, open_sets/pool/class/image for candidate unknowns, and perhaps parts.csv and
groups.csv.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.tables import DEPLOY, GROUPS_FILE, IN_DISTRIBUTION, MEAN, OPEN_SETS, PARTS_FILE, ROLES, UNKNOWN_CLASSES

DOMAINS_LAYOUT = "domain/class/image"
VERSIONS_ENDING = ".versions.yaml"
POOLS_LAYOUT = f"{OPEN_SETS}/pool/class/image"

LITTER = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir"})
"""What Windows, macOS and network drives leave in folders, in small letters; passed over like hidden files."""

UNLABELLED = {"no_label": "CVAT", "_unlabeled": "FiftyOne"}
"""Folders that are no classes, and the tool whose exports put images without a label there."""

Folder = Literal["domain", "pool", "class"]

RESERVED: dict[Folder, dict[str, str]] = {
    "domain": {
        DEPLOY: "stands for all domains",
        MEAN: "stands for all domains",
        IN_DISTRIBUTION: "stands for no held-out domain",
        OPEN_SETS: "is the folder of the pools of unknown images",
        PARTS_FILE: "is the file that gives images their parts",
        GROUPS_FILE: "is the file that gives images their groups",
    },
    "pool": {
        UNKNOWN_CLASSES: "stands for images of the domains",
        **dict.fromkeys(ROLES, "stands for images of the domains"),
    },
    "class": {
        name: f"is where {tool} puts images without a label (remove it if they have none)"
        for name, tool in UNLABELLED.items()
    },
}
"""Names that mean something else in tables and results, and what they mean."""

_MAX_BYTES = 255  # of one path component, on every file system in use
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f]")  # would break the lines and tables that name the file


def versions_file(root: Path) -> Path:
    """data/<name>.versions.yaml of the data root data/<name>, which `croft data add` writes."""
    return root.parent / f"{root.name}{VERSIONS_ENDING}"


class Place(NamedTuple):
    """Where an image belongs; `domain` or `pool` is "".

    `group` is what it lies in, as a path: the domain, or open_sets/pool.
    """

    domain: str
    pool: str
    class_: str
    file: str

    @property
    def group(self) -> str:
        return f"{OPEN_SETS}/{self.pool}" if self.pool else self.domain


def parse_place(path: str) -> Place | None:
    """The place that a path (relative to the data root, POSIX separators) names; None where its depth is wrong."""
    names = path.split("/")
    if names[0] == OPEN_SETS:
        return Place("", *names[1:]) if len(names) == 4 else None
    return Place(names[0], "", *names[1:]) if len(names) == 3 else None


def class_folder(class_: str, *, domain: str = "", pool: str = "") -> str:
    """The path of a class's folder: in the pool, if there is one, otherwise in the domain."""
    return f"{OPEN_SETS}/{pool}/{class_}" if pool else f"{domain}/{class_}"


def folder_problem(kind: Folder, name: str) -> str:
    """Why a folder cannot have a name, and what to do; "" if it can."""
    problem = name_problem(name)
    if not problem and name != name.strip():
        problem = "begins or ends with a space"
    if problem:
        return f"the name {name!r} {problem}; rename it"
    if name in RESERVED[kind]:
        return f"a {kind} cannot be called {name!r}, which {RESERVED[kind][name]}; rename it"
    return ""


def name_problem(name: str) -> str:
    """What is wrong with the name of a file or folder, as in "the name ..."; "" for nothing."""
    if not is_utf8(name):
        return "is not UTF-8"
    if is_hidden(name):
        return "begins with a dot, which hides it" if name.startswith(".") else "is one of system files, never read"
    if _UNPRINTABLE.search(name):
        return "holds a control character"
    if "/" in name or "\\" in name:
        return "holds a path separator"
    if len(name.encode()) > _MAX_BYTES:
        return f"is longer than {_MAX_BYTES} bytes"
    return "" if name else "is empty"


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over: it begins with a dot, or is one of LITTER."""
    return name.startswith(".") or name.lower() in LITTER


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
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", shown)
