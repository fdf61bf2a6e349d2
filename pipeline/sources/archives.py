"""Archives of images, tar or zip, through one door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.sources.members import Member
from pipeline.sources.tars import TARS, tar_members
from pipeline.sources.zips import ZIPS, zip_members

ARCHIVES = (*TARS, *ZIPS)


def is_archive(path: Path | PurePosixPath) -> bool:
    """Whether a file's name is that of an archive."""
    return path.name.lower().endswith(ARCHIVES) and not path.name.startswith(".")


def archive_stem(path: Path) -> str:
    """An archive's name without its ending: 's-0' of s-0.tar.gz."""
    ending = max((ending for ending in ARCHIVES if path.name.lower().endswith(ending)), key=len)
    return path.name[: -len(ending)]


def members(archive: Path) -> Iterator[Member]:
    """Each file, the hidden ones too.

    Raises:
        DataError: as `tar_members` or `zip_members`.
    """
    yield from (zip_members if archive.name.lower().endswith(ZIPS) else tar_members)(archive)
