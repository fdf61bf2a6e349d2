"""The bytes that a question is about: a version of a data set, or one image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache
from pipeline.errors import DataError, ParamsError
from pipeline.hashing import file_sha256
from pipeline.versioning.contents import image_place, listed
from pipeline.versioning.names import parse_reference
from pipeline.versioning.resolve import resolve

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Wanted:
    """Attributes:
    title: for people.
    md5: of a version's listing, as DVC has it; "" for one image.
    files: MD5 of its images; None where the cache lacks the listing.
    sha256: of one image; "" for a version.
    """

    title: str
    md5: str = ""
    files: frozenset[str] | None = None
    sha256: str = ""

    @property
    def count(self) -> int:
        """How many different images these are; 0 if that is not known."""
        return 1 if self.sha256 else len(self.files or ())


def parse_wanted(root: Path, cache: Cache, text: str, here: Path | None = None) -> Wanted:
    """Read `NAME`, `NAME@2`, the SHA-256 of an image, or its path.

    Args:
        root: the project.
        cache: DVC's.
        text: as it was typed.
        here: the folder that a path is relative to; the working directory by default.
    Raises:
        DataError: there is no such version, or the file cannot be read.
        ParamsError: the text is none of these.
    """
    if _SHA256.fullmatch(text):
        return Wanted(f"image {text[:12]}", sha256=text.lower())
    path = (here or Path.cwd()) / text
    if path.is_file():
        digest = file_sha256(path)
        return Wanted(f"{text} ({digest[:12]})", sha256=digest)
    if "/" in text:
        raise DataError(f"{text}: no such file; expected NAME, NAME@VERSION, an image, or its SHA-256 (64 hex digits)")
    try:
        snapshot = resolve(root, parse_reference(text))
    except ParamsError as error:
        raise ParamsError(f"{error}; an image goes by its path or its SHA-256 (64 hex digits)") from None
    files = listed(cache, snapshot.pointer.md5)
    title = f"{snapshot} ({snapshot.pointer.md5[:12]})" if snapshot.number else str(snapshot)
    return Wanted(title, snapshot.pointer.md5, None if files is None else frozenset(images(files).values()))


def images(files: Mapping[str, str]) -> dict[str, str]:
    """Path to MD5 of the images of a listing, without the tables beside them."""
    return {path: md5 for path, md5 in files.items() if image_place(path) is not None}
