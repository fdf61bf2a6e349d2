"""Tars and zips: webdataset's groups (an image with a .cls or .json of the same basename), or plain folders.

The grouping is webdataset's: members that follow one another and whose paths are the same up to the first dot of the
last component belong together (webdataset, "The WebDataset Format"). Every header is looked at before the first image
is handed out, so a shard with a bad member is refused as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.data.layout import class_folder, printable
from pipeline.data.parts import plain_part
from pipeline.errors import DataError, ParamsError
from pipeline.phrases import counted
from pipeline.sources.archives import ARCHIVES, archive_stem, is_archive, members
from pipeline.sources.contents import LABELS, Contents, check_tables, group_key, instead
from pipeline.sources.entry import Entry, Source
from pipeline.sources.folder import check_classes
from pipeline.sources.levels import Levels, read_levels
from pipeline.sources.members import Member
from pipeline.sources.options import SourceOptions
from pipeline.sources.rows import leaving_out
from pipeline.sources.tree import Kind, unlabelled

_MAX_LABEL = 1024**2  # bytes of a .cls or .json
_BESIDE = "beside the archives"  # why a file or folder is left out
_KEYS = ("class", "label")  # of a .json; the first that is there


def shards_source(path: Path, options: SourceOptions, name: str) -> Source:
    """One tar or zip, or a folder of them.

    Args:
        path: .tar, .tar.gz, .tgz or .zip, or a folder that holds such files.
        options: domain, domains and open_set count here.
        name: the domain's name, where neither the archives nor the options name one.
    Raises:
        DataError: an archive or member is refused as in `members`, an image has no class, a label file is no label, or
            as `read_levels`. The member is named.
        ParamsError: as `read_levels`.
    """
    shards = [path] if path.is_file() else sorted(entry for entry in path.iterdir() if is_archive(entry))
    beside = [] if path.is_file() else sorted(entry.name for entry in path.iterdir() if not is_archive(entry))
    if not shards:
        raise DataError(f"{path}: no archives found; expected files that end in {', '.join(ARCHIVES)}")
    held = Contents()
    for shard in shards:
        for member in members(shard):
            held.add(member)
        held.end()
    if not held.images:
        but = f" but those {held.without}" if held.without else ""
        raise DataError(f"{path}: no images found in the {_kind(shards)}{but}{instead(held)}")
    count = f"{counted(len(shards), _kind(shards))}, {counted(held.images, 'image')}"
    fallback, pool = options.domain or name, options.open_set
    if held.groups:
        if not (fallback or pool or held.json):
            raise ParamsError(f"{path}: names no domain; name it with --domain")
        notes = [f"{path}: webdataset groups in {count}; files are named by archive and key"]
        source = Source(path, "shards", lambda: _groups(source, shards, options, fallback), notes=notes)
        return leaving_out(source, {_BESIDE: beside})
    if not pool:
        check_tables(path, held)
    try:
        levels = read_levels(path, held.firsts, options, name)
    except DataError as error:
        raise DataError(f"{error}{instead(held)}") from None
    check_classes(path, held.tree(), levels)
    source = Source(path, "shards", lambda: _plain(source, shards, levels), notes=[*levels.notes, f"{path}: {count}"])
    return leaving_out(source, {_BESIDE: beside})


def _kind(shards: Sequence[Path]) -> str:
    kinds = {"zip" if shard.suffix.lower() == ".zip" else "tar" for shard in shards}
    return kinds.pop() if len(kinds) == 1 else "archive"


def _plain(source: Source, shards: Sequence[Path], levels: Levels) -> Iterator[Entry]:
    for shard in shards:
        for member in _visible(source, shard):
            path = member.path
            if not member.is_image:
                source.left_out.add(Kind.OTHER.value, printable(str(path)))
            elif reason := unlabelled(path.parent.parts):
                source.left_out.add(reason, printable(str(path)))
            else:
                spot = levels.spots[path.parent.parts]
                yield Entry(
                    f"{spot.folder}/{spot.tag}{path.name}", f"{shard}: {path}", content=member.read(), part=spot.part
                )


def _visible(source: Source, shard: Path) -> Iterator[Member]:
    """The members that are not hidden; of the others, each file or folder is counted once."""
    folders: set[PurePosixPath] = set()
    for member in members(shard):
        hidden = member.hidden
        if hidden is None:
            yield member
        elif hidden not in folders:
            source.left_out.add(Kind.HIDDEN.value, printable(str(hidden)))
            if hidden != member.path:
                folders.add(hidden)


def _groups(source: Source, shards: Sequence[Path], options: SourceOptions, fallback: str) -> Iterator[Entry]:
    for shard in shards:
        stem = archive_stem(shard)
        for key, images, labels in _by_key(source, shard):
            if not images:
                for name in labels:
                    source.left_out.add("labels without an image", printable(name))
                continue
            origin = f"{shard}: {next(iter(images))}"
            if len(images) > 1:
                raise DataError(f"{origin}: expected one image per key, found {len(images)}")
            ((image, content),) = images.items()
            class_, domain, part, group = _label(origin, labels)
            if options.domain and domain:
                raise ParamsError(f"--domain {options.domain}: {origin}: its .json names a domain; remove --domain")
            pool = options.open_set
            if not (pool or domain or fallback):
                raise DataError(f"{origin}: names no domain; name it with --domain")
            folder = class_folder(class_, domain=domain or fallback, pool=pool)
            file = f"{stem}-{PurePosixPath(key).name}{PurePosixPath(image).suffix}"
            yield Entry(f"{folder}/{file}", origin, content=content, part="" if pool else part, group=group)


def _by_key(source: Source, shard: Path) -> Iterator[tuple[str, dict[str, bytes], dict[str, bytes]]]:
    """(key, images, files of labels), both by their paths; other files are counted as left out."""
    key: str | None = None
    images: dict[str, bytes] = {}
    labels: dict[str, bytes] = {}
    for member in _visible(source, shard):
        path, name = member.path, str(member.path)
        if group_key(path) != key:
            if key is not None:
                yield key, images, labels
            key, images, labels = group_key(path), {}, {}
        if member.is_image:
            images[name] = member.read()
        elif path.suffix.lower() not in LABELS:
            source.left_out.add(Kind.OTHER.value, printable(name))
        elif member.size > _MAX_LABEL:
            raise DataError(f"{shard}: {name}: not a label file: {member.size:,} bytes, more than {_MAX_LABEL:,}")
        else:
            labels[name] = member.read()
    if key is not None:
        yield key, images, labels


def _label(origin: str, files: dict[str, bytes]) -> tuple[str, str, str, str]:
    """(class, domain or "", part, group or "") of one key; a .cls wins where it and the .json both name the class."""
    class_, domain, part, group = "", "", "", ""
    for name, content in sorted(files.items(), reverse=True):
        if name.lower().endswith(".json"):
            facts = _json(origin, content)
            class_ = str(next((facts[k] for k in _KEYS if facts.get(k) is not None), ""))
            domain, part = str(facts.get("domain") or ""), plain_part(str(facts.get("part") or ""))
            group = str("" if facts.get("group") is None else facts["group"]).strip()
    for name, content in files.items():
        if name.lower().endswith(".cls"):
            try:
                class_ = content.decode("utf-8").strip()
            except UnicodeDecodeError:
                raise DataError(f"{origin}: its .cls is not UTF-8 text") from None
    if not class_:
        raise DataError(f"{origin}: no class; expected a .cls, or a .json with 'class' or 'label', of the same key")
    return class_, domain, part, group


def _json(origin: str, content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        raise DataError(f"{origin}: its .json is not valid JSON") from None
    if not isinstance(facts, dict):
        raise DataError(f"{origin}: its .json is not a mapping")
    return facts
