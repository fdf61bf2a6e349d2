"""Plain folders: domain/class/image (perhaps with open_sets/), class/image, or images alone; their depth decides."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.data.listing import entries, list_images
from pipeline.data.parts import read_parts
from pipeline.errors import DataError, ParamsError
from pipeline.images import SUFFIXES
from pipeline.phrases import shorten
from pipeline.sources.entry import Entry, Source
from pipeline.sources.options import SourceOptions
from pipeline.tables import OPEN_SETS, PARTS_FILE

_LAYOUTS = "expected domain/class/image or class/image"
_NAMED = 3  # skipped files that a note names


def folder_source(path: Path, options: SourceOptions, name: str) -> Source:
    """A folder of images of any name.

    Args:
        path: the folder.
        options: domain and open_set count here; as an open set, images without class folders form one class.
        name: the domain's name, where neither the folder nor the options name one.
    Raises:
        DataError: images lie at several depths, or at one that is no layout; a link leaves the folder.
        ParamsError: a domain is given and the folder has its own, or has none and there is no name for one.
    """
    root = path.resolve()
    depth = _depth(root)
    pool, notes = options.open_set, []
    if pool:
        if depth == 2:
            raise DataError(
                f"{path}: holds domain/class/image; an open set is class/image, so give one domain's folder"
            )
        if depth == 0:
            notes.append(f"{path}: images without class folders, taken as the class {pool!r} of the open set {pool!r}")
        prefix = [OPEN_SETS, pool, *([pool] if depth == 0 else [])]
    elif depth == 0:
        raise DataError(f"{path}: images without class folders; {_LAYOUTS}, or add them as an open set (--open-set)")
    elif depth == 1:
        domain = options.domain or name
        if not domain:
            raise ParamsError(f"{path}: holds class/image; name its domain with --domain")
        notes.append(f"{path}: class/image, taken as the domain {domain!r}")
        prefix = [domain]
    else:
        if options.domain:
            raise ParamsError(f"--domain {options.domain}: {path} holds domain/class/image already; remove --domain")
        notes.append(f"{path}: domain/class/image")
        prefix = []
    parts: dict[str, str] = {}
    if not prefix and (root / PARTS_FILE).exists():  # a data set of a workspace
        listing = list_images(root)
        parts = dict(zip(listing.paths, read_parts(root, listing), strict=True))
        notes.append(f"{path}: parts from {PARTS_FILE}")
    source = Source(path, "folder", walk=lambda: _walk(source, root, depth, prefix, parts), notes=notes)
    return source


def _walk(source: Source, root: Path, depth: int, prefix: list[str], parts: Mapping[str, str]) -> Iterator[Entry]:
    skipped: list[str] = []
    for relative, file in below(root, root, depth, "", skipped):
        target = "/".join([*prefix, relative])
        yield Entry(target, f"{source.path / relative}", file=file, part=parts.get(target, ""))
    note_skipped(source, [name for name in skipped if not (parts and name == PARTS_FILE)])


def note_skipped(source: Source, skipped: list[str]) -> None:
    """Say once which files are no images."""
    note = f"skipped, not images by their suffix: {shorten(skipped, _NAMED)}"
    if skipped and note not in source.notes:
        source.notes.append(note)


def below(root: Path, folder: Path, depth: int, prefix: str, skipped: list[str]) -> Iterator[tuple[str, Path]]:
    """The images exactly `depth` folders below a folder, sorted.

    Args:
        root: resolved; nothing outside it is read.
        folder: in the root.
        depth: number of folder levels between `folder` and its images.
        prefix: comes before relative paths.
        skipped: gets the relative paths of files that are no images.
    Returns:
        (relative path, file) of each image.
    Raises:
        DataError: a file or folder at another depth, a link that leaves the root, or a folder that cannot be listed.
    """
    for entry in entries(folder):
        relative = f"{prefix}{entry.name}"
        path = inside(root, entry)
        if entry.is_dir():
            if depth == 0:
                raise DataError(f"{folder / entry.name}: a folder among images; {_LAYOUTS}, all at one depth")
            deeper = relative == OPEN_SETS and depth == 2  # a data set's own layout: pools beside domains
            yield from below(root, path, depth if deeper else depth - 1, f"{relative}/", skipped)
        elif not entry.name.lower().endswith(SUFFIXES):
            skipped.append(relative)
        elif depth > 0:
            raise DataError(f"{folder / entry.name}: an image beside folders; {_LAYOUTS}, all at one depth")
        else:
            yield relative, path


def _depth(root: Path) -> int:
    """How many folder levels lie above the deepest image, up to 2; the walk refuses images at other depths."""
    for level in (2, 1, 0):
        if _holds_image(root, level):
            return level
    deeper = " within two levels of folders" if any(entry.is_dir() for entry in entries(root)) else ""
    raise DataError(f"{root}: no images found{deeper}; {_LAYOUTS}")


def _holds_image(folder: Path, level: int) -> bool:
    for entry in entries(folder):
        if level == 0 and entry.is_file() and entry.name.lower().endswith(SUFFIXES):
            return True
        if level > 0 and entry.is_dir() and _holds_image(Path(entry.path), level - 1):
            return True
    return False


def inside(root: Path, entry: os.DirEntry[str]) -> Path:
    """The file or folder itself; a link is followed if it stays below the root.

    Raises:
        DataError: it leads out of the root, or to nothing.
    """
    if not entry.is_symlink():
        return Path(entry.path)
    target = Path(entry.path).resolve()
    if not target.is_relative_to(root):
        raise DataError(f"{entry.path}: a link that leaves {root.name}; put the file itself there, or give its folder")
    if not target.exists():
        raise DataError(f"{entry.path}: a link to nothing")
    return target
