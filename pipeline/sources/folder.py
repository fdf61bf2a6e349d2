"""Plain folders: domain/class/image (perhaps with open_sets/), class/image, or images alone, with or without parts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.data.given import GIVEN, read_given
from pipeline.data.layout import DOMAINS_LAYOUT, printable
from pipeline.data.listing import list_images
from pipeline.errors import DataError
from pipeline.sources.entry import Entry, Source
from pipeline.sources.levels import LAYOUTS, Levels, read_levels
from pipeline.sources.options import SourceOptions
from pipeline.sources.report import endings_of
from pipeline.sources.tree import Kind, Tree, read_tree, scan, unlabelled
from pipeline.tables import GROUPS_FILE, OPEN_SETS, PARTS_FILE


def folder_source(path: Path, options: SourceOptions, name: str) -> Source:
    """A folder of images of any name.

    Args:
        path: the folder.
        options: domain, domains and open_set count here; as an open set, images without class folders form one class.
        name: the domain's name, where neither the folder nor the options name one.
    Raises:
        DataError: as `read_levels` and `scan`; or there is no image, or none in a folder of a class.
        ParamsError: as `read_levels`.
    """
    root = path.resolve()
    tree = read_tree(root)
    if not tree.firsts:
        but = f" but those {tree.without}" if tree.without else ""
        raise DataError(f"{root}: no images found{but}{_held(tree, ())}; {LAYOUTS}")
    ours = [given for given in GIVEN if (root / given.file).exists() and not options.open_set]
    if any(given.file == PARTS_FILE for given in ours):
        options = dataclasses.replace(options, domains=True)
    levels = read_levels(path, tree.firsts, options, name)
    check_classes(path, tree, levels)
    values: dict[str, Mapping[str, str]] = {}
    notes = list(levels.notes)
    if ours and all(spot.folder == "/".join(folders) for folders, spot in levels.spots.items()):
        listing = list_images(root)  # it is a data set of a workspace
        for given in ours:
            values[given.file] = dict(zip(listing.paths, read_given(root, listing, given), strict=True))
            notes.append(f"{path}: {given.title}s from {given.file}")
    warnings = [
        f"{path / given.file} was not read: it describes {DOMAINS_LAYOUT}, another layout than that of {path}"
        for given in ours
        if not values
    ]
    source = Source(path, "folder", lambda: _walk(source, root, levels, values), notes, warnings)
    return source


def _walk(source: Source, root: Path, levels: Levels, values: Mapping[str, Mapping[str, str]]) -> Iterator[Entry]:
    """values: of the files that give images a part or group, by their name, and by path."""
    parts, groups = (values.get(file, {}) for file in (PARTS_FILE, GROUPS_FILE))
    for item in scan(root):
        if item.kind is not Kind.IMAGE:
            if item.relative not in values:
                source.left_out.add(item.kind.value, item.relative)
            continue
        if reason := unlabelled(item.folders):
            source.left_out.add(reason, item.relative)
            continue
        origin = printable(str(source.path.joinpath(*item.folders, item.name)))
        spot = levels.spots.get(item.folders)
        if spot is None:
            raise DataError(f"{origin}: was added while {source.path} was read; repeat the command")
        target = f"{spot.folder}/{spot.tag}{item.name}"
        part, group = spot.part or parts.get(target, ""), groups.get(target, "")
        yield Entry(target, origin, file=item.path, part=part, group=group)


def check_classes(path: Path, tree: Tree, levels: Levels) -> None:
    """Refuse a folder beside those of the classes whose files are no images: its class would silently be missing.

    Args:
        path: of the folder or archive, for errors.
        tree: of what it holds.
        levels: of the tree's images.
    Raises:
        DataError: naming it, and the endings of what it holds.
    """
    above = {folders[:-1] for folders in tree.firsts if folders} if levels.depth else set()
    holding = {folders[:end] for folders in tree.firsts for end in range(len(folders))}
    for folders in sorted(tree.others):
        beside = folders and folders[:-1] in above and folders not in holding
        beside = beside and folders[-1] != OPEN_SETS and not unlabelled(folders)
        if beside and (held := _held(tree, folders)):
            raise DataError(
                f"{printable(str(path.joinpath(*folders)))}: a class folder without images{held}; add images, remove "
                "the folder, or hide it with a dot"
            )


def _held(tree: Tree, folder: tuple[str, ...]) -> str:
    """The endings of the files below a folder, in brackets; "" where there are none."""
    names = [name for folders, names in tree.others.items() if folders[: len(folder)] == folder for name in names]
    endings = Counter(printable(Path(name).suffix.lower()) for name in names)
    return f" (files by ending: {endings_of(endings)})" if endings else ""
