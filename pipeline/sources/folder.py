"""Plain folders: domain/class/image (with open_sets/ beside), class/image, or images alone; told apart by depth."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.data.listing import is_hidden, list_images
from pipeline.data.parts import read_parts
from pipeline.errors import DataError, ParamsError
from pipeline.images import SUFFIXES
from pipeline.sources.entry import Entry, Source, check_name
from pipeline.tables import OPEN_SETS, PARTS_FILE

_LAYOUTS = "expected domain/class/image or class/image"
_NAMED = 3  # files left aside that a note names; the rest are counted


def folder_source(path: Path, *, name: str, domain: str | None, open_set: str | None) -> Source:
    """A folder of images of any name.

    Args:
        path: the folder.
        name: the domain's name, where the folder has no domains and `domain` is not given.
        domain: as in `open_source`.
        open_set: as in `open_source`; here domain/class/image becomes class/image, all domains together.
    Raises:
        DataError: images at several depths, or at one that is no layout; a link that leaves the folder.
        ParamsError: a domain is given and the folder has its own, or has none and there is no name for one.
    """
    root = path.resolve()
    depth = _depth(root)
    kind, notes = "folder", []
    if open_set:
        check_name(open_set, "open set")
        if depth == 0:
            notes.append(f"{path}: images without class folders, the class {open_set!r} of the open set {open_set!r}")
        prefix = [OPEN_SETS, open_set, *([open_set] if depth == 0 else [])]
    elif depth == 0:
        raise DataError(f"{path}: images without class folders; {_LAYOUTS}, or give them as an open set")
    elif depth == 1:
        chosen = domain or name
        if not chosen:
            raise ParamsError(f"{path}: holds class/image; give the domain's name")
        check_name(chosen, "domain")
        notes.append(f"{path}: class/image, the domain {chosen!r}")
        prefix = [chosen]
    else:
        if domain:
            raise ParamsError(f"{path}: holds domain/class/image, so the domain {domain!r} cannot be given")
        notes.append(f"{path}: domain/class/image")
        prefix = []
    if depth == 2 and open_set:
        raise DataError(f"{path}: folders within class folders; an open set is class/image: give one domain's folder")
    parts: dict[str, str] = {}
    if not prefix and (root / PARTS_FILE).exists():  # a data set of a workspace
        listing = list_images(root)
        parts = dict(zip(listing.paths, read_parts(root, listing), strict=True))
        notes.append(f"{path}: parts from {PARTS_FILE}")
    source = Source(path=path, kind=kind, walk=lambda: _walk(source, root, depth, prefix, parts), notes=notes)
    return source


def _walk(source: Source, root: Path, depth: int, prefix: list[str], parts: Mapping[str, str]) -> Iterator[Entry]:
    aside: list[str] = []
    for relative, file in images(root, depth, aside):
        target = "/".join([*prefix, relative])
        yield Entry(target, f"{source.path / relative}", file=file, part=parts.get(target, ""))
    note_aside(source, [name for name in aside if not (parts and name == PARTS_FILE)])


def note_aside(source: Source, aside: list[str]) -> None:
    """Say once which files are no images."""
    if aside:
        more = f", and {len(aside) - _NAMED} more" if len(aside) > _NAMED else ""
        note = f"left aside, no images by their suffix: {', '.join(aside[:_NAMED])}{more}"
        if note not in source.notes:
            source.notes.append(note)


def images(root: Path, depth: int, aside: list[str]) -> Iterator[tuple[str, Path]]:
    """(path relative to the root, file) of each image exactly `depth` folders below a resolved root, sorted.

    Raises:
        DataError: a file or folder at another depth, a link that leaves the root, or a folder that cannot be listed.
    """
    yield from below(root, root, depth, "", aside)


def below(root: Path, folder: Path, depth: int, prefix: str, aside: list[str]) -> Iterator[tuple[str, Path]]:
    """`images` of one folder of the root; `prefix` is what comes before their relative paths."""
    for entry in entries(folder):
        relative = f"{prefix}{entry.name}"
        path = inside(root, entry)
        if entry.is_dir():
            if depth == 0:
                raise DataError(f"{folder / entry.name}: a folder among images; {_LAYOUTS}, all at one depth")
            deeper = relative == OPEN_SETS and depth == 2  # the workspace's own layout: pools beside domains
            yield from below(root, path, depth if deeper else depth - 1, f"{relative}/", aside)
        elif not entry.name.lower().endswith(SUFFIXES):
            aside.append(relative)
        elif depth > 0:
            raise DataError(f"{folder / entry.name}: an image beside folders; {_LAYOUTS}, all at one depth")
        else:
            yield relative, path


def _depth(root: Path) -> int:
    """Folders above the deepest image that is found; the walk names a stray one above or below it."""
    for level in (2, 1, 0):
        if _holds_image(root, level):
            return level
    deeper = "; its images lie deeper" if any(entry.is_dir() for entry in entries(root)) else ""
    raise DataError(f"{root}: holds no images where they are looked for{deeper}; {_LAYOUTS}")


def _holds_image(folder: Path, level: int) -> bool:
    for entry in entries(folder):
        if level == 0 and entry.is_file() and entry.name.lower().endswith(SUFFIXES):
            return True
        if level > 0 and entry.is_dir() and _holds_image(Path(entry.path), level - 1):
            return True
    return False


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted, without what is hidden.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not is_hidden(e.name)), key=lambda e: e.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {error.strerror}") from None


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
