"""One image of a source, and the source itself: where an image goes in the workspace and how its bytes are read."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import DataError
from pipeline.images import SUFFIXES
from pipeline.tables import DEPLOY, MEAN, OPEN_SETS, PARTS

_MAX_NAME = 255  # bytes of one path component, on every file system in use


@dataclass(frozen=True, slots=True)
class Entry:
    """One image.

    Attributes:
        target: where it goes below the data root: domain/class/file, or open_sets/pool/class/file.
        origin: how messages call it: a path or member, with its line where a listing names it.
        file: the image on disk, resolved, which may be copied or linked; None for a member of a tar.
        content: the encoded image, where `file` is None.
        part: one of PARTS, or "" where it is free.
    """

    target: str
    origin: str
    file: Path | None = None
    content: bytes | None = None
    part: str = ""

    def read(self) -> bytes:
        """The encoded image's bytes.

        Raises:
            DataError: the file cannot be read.
        """
        if self.content is not None:
            return self.content
        if self.file is None:
            raise DataError(f"{self.origin}: neither a file nor its bytes")
        try:
            return self.file.read_bytes()
        except OSError as error:
            raise DataError(f"{self.origin}: cannot be read: {error.strerror}") from None


@dataclass(frozen=True)
class Source:
    """What was understood of a path; iterating it walks the images, as often as wanted, always in the same order.

    Attributes:
        path: what was opened.
        kind: one of KINDS.
        walk: makes the entries anew; a tar is read as a stream while it is walked.
        notes: sentences for a person: what was understood, and what was left aside. Some are added while walking, so
            print them afterwards.
        warnings: the same, of what a person should look at.
        class_names: how prompts call a class, where that is not its folder's name; for backbone.class_names.
    """

    path: Path
    kind: str
    walk: Callable[[], Iterator[Entry]]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    class_names: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Entry]:
        """The images.

        Raises:
            DataError: a name cannot be one of the workspace's, two images want the same place, there is no image, or
                what the kind of the source refuses.
        """
        places: dict[str, str] = {}
        for entry in self.walk():
            check_target(entry)
            if entry.target in places:
                before = places[entry.target]
                raise DataError(f"{entry.origin}: wants the same place as {before}, {entry.target}; rename one")
            places[entry.target] = entry.origin
            yield entry
        if not places:
            raise DataError(f"{self.path}: holds no image ({', '.join(SUFFIXES)})")


def check_target(entry: Entry) -> None:
    """Refuse a place that is outside the data root, hidden, or of the wrong depth; whatever kind of source named it.

    Raises:
        DataError: naming the origin and what is wrong.
    """
    parts = entry.target.split("/")
    pooled = parts[0] == OPEN_SETS
    if len(parts) != (4 if pooled else 3):
        raise DataError(
            f"{entry.origin}: {entry.target!r} is neither domain/class/image nor {OPEN_SETS}/pool/class/image"
        )
    for name in parts:
        check_name(name, entry.origin)
    if parts[0] in (DEPLOY, MEAN):
        raise DataError(
            f"{entry.origin}: a domain cannot be called {parts[0]!r}, which stands for all domains; rename it"
        )
    if not parts[-1].lower().endswith(SUFFIXES):
        raise DataError(f"{entry.origin}: not an image file; expected {', '.join(SUFFIXES)}")
    if entry.part not in ("", *PARTS):
        raise DataError(f"{entry.origin}: part {entry.part!r} is none of {', '.join(PARTS)}")


def check_name(name: str, origin: str) -> None:
    """Refuse what cannot be the name of a domain's, pool's or class's folder, or of a file.

    Raises:
        DataError: it is empty, hidden, `..`, too long, or holds a separator, a control character or no UTF-8.
    """
    problem = ""
    if not name or name != name.strip():
        problem = "is empty or begins or ends with a space"
    elif name.startswith("."):
        problem = "begins with a dot, which hides it"
    elif "/" in name or "\\" in name:
        problem = "holds a separator of paths"
    elif not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        problem = "holds a control character, or is not UTF-8"
    elif len(name.encode()) > _MAX_NAME:
        problem = f"is longer than {_MAX_NAME} bytes"
    if problem:
        raise DataError(f"{origin}: the name {name!r} {problem}; rename it")
