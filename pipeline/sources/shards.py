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
from pipeline.errors import DataError, ParamsError
from pipeline.images import SUFFIXES
from pipeline.phrases import counted
from pipeline.sources.archives import ARCHIVES, archive_stem, is_archive, members
from pipeline.sources.contents import UNLABELLED, Contents, check_tables, group_key, instead
from pipeline.sources.entry import Entry, Source, plain_part
from pipeline.sources.folder import check_classes
from pipeline.sources.levels import Levels, read_levels
from pipeline.sources.options import SourceOptions
from pipeline.sources.tree import Kind

_MAX_LABEL = 1024**2  # bytes of a .cls or .json
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
    if not shards:
        raise DataError(f"{path}: no archives found; expected files that end in {', '.join(ARCHIVES)}")
    held = Contents()
    for shard in shards:
        for member, _, _ in members(shard):
            held.add(member)
        held.end()
    if not held.images:
        raise DataError(f"{path}: no images found in the {_kind(shards)}{instead(held)}")
    count = f"{counted(len(shards), _kind(shards))}, {counted(held.images, 'image')}"
    fallback, pool = options.domain or name, options.open_set
    if held.groups:
        if not (fallback or pool or held.json):
            raise ParamsError(f"{path}: names no domain; name it with --domain")
        notes = [f"{path}: webdataset groups in {count}; files are named by archive and key"]
        return Source(path, "shards", lambda: _groups(shards, options, fallback), notes=notes)
    if not pool:
        check_tables(path, held)
    try:
        levels = read_levels(path, held.firsts, options, name)
    except DataError as error:
        raise DataError(f"{error}{instead(held)}") from None
    check_classes(path, held.tree(), levels)
    source = Source(path, "shards", lambda: _plain(source, shards, levels), notes=[*levels.notes, f"{path}: {count}"])
    return source


def _kind(shards: Sequence[Path]) -> str:
    kinds = {"zip" if shard.suffix.lower() == ".zip" else "tar" for shard in shards}
    return kinds.pop() if len(kinds) == 1 else "archive"


def _plain(source: Source, shards: Sequence[Path], levels: Levels) -> Iterator[Entry]:
    for shard in shards:
        for member, _, read in members(shard):
            if member.suffix.lower() not in SUFFIXES:
                source.left_out.add(Kind.OTHER.value, printable(str(member)))
            elif tool := UNLABELLED.get(member.parent.name):
                reason = f"in {member.parent.name}/, where {tool} puts images without a label"
                source.left_out.add(reason, printable(str(member)))
            else:
                spot = levels.spots[member.parent.parts]
                yield Entry(
                    f"{spot.folder}/{spot.tag}{member.name}", f"{shard}: {member}", content=read(), part=spot.part
                )


def _groups(shards: Sequence[Path], options: SourceOptions, fallback: str) -> Iterator[Entry]:
    for shard in shards:
        stem = archive_stem(shard)
        for key, files in _by_key(shard):
            images = [name for name in files if PurePosixPath(name).suffix.lower() in SUFFIXES]
            if not images:
                continue
            origin = f"{shard}: {images[0]}"
            if len(images) > 1:
                raise DataError(f"{origin}: expected one image per key, found {len(images)}")
            class_, domain, part = _label(origin, files)
            if options.domain and domain:
                raise ParamsError(f"--domain {options.domain}: {origin}: its .json names a domain; remove --domain")
            pool = options.open_set
            if not (pool or domain or fallback):
                raise DataError(f"{origin}: names no domain; name it with --domain")
            folder = class_folder(class_, domain=domain or fallback, pool=pool)
            file = f"{stem}-{PurePosixPath(key).name}{PurePosixPath(images[0]).suffix}"
            yield Entry(f"{folder}/{file}", origin, content=files[images[0]], part="" if pool else part)


def _by_key(shard: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    key: str | None = None
    files: dict[str, bytes] = {}
    for member, size, read in members(shard):
        suffix = member.suffix.lower()
        member_key = group_key(member)
        if member_key != key:
            if key is not None:
                yield key, files
            key, files = member_key, {}
        if suffix in (".cls", ".json") and size > _MAX_LABEL:
            raise DataError(f"{shard}: {member}: not a label file: {size:,} bytes, more than {_MAX_LABEL:,}")
        if suffix in (*SUFFIXES, ".cls", ".json"):
            files[str(member)] = read()
    if key is not None:
        yield key, files


def _label(origin: str, files: dict[str, bytes]) -> tuple[str, str, str]:
    """(class, domain or "", part) from the .json and .cls of one key; a .cls wins where both name the class."""
    class_, domain, part = "", "", ""
    for name, content in sorted(files.items(), reverse=True):
        if name.lower().endswith(".json"):
            facts = _json(origin, content)
            class_ = str(next((facts[k] for k in _KEYS if facts.get(k) is not None), ""))
            domain, part = str(facts.get("domain") or ""), plain_part(str(facts.get("part") or ""))
    for name, content in files.items():
        if name.lower().endswith(".cls"):
            try:
                class_ = content.decode("utf-8").strip()
            except UnicodeDecodeError:
                raise DataError(f"{origin}: its .cls is not UTF-8 text") from None
    if not class_:
        raise DataError(f"{origin}: no class; expected a .cls, or a .json with 'class' or 'label', of the same key")
    return class_, domain, part


def _json(origin: str, content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        raise DataError(f"{origin}: its .json is not valid JSON") from None
    if not isinstance(facts, dict):
        raise DataError(f"{origin}: its .json is not a mapping")
    return facts
