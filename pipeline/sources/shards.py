"""Tar shards: webdataset's groups (an image with a .cls or .json of the same basename), or plain folders.

The grouping is webdataset's: members that follow one another and whose paths are the same up to the first dot of the
last component belong together (webdataset, "The WebDataset Format"). Every header is looked at before the first image
is handed out, so a shard with a bad member is refused as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.data.layout import class_folder
from pipeline.errors import DataError, ParamsError
from pipeline.images import SUFFIXES
from pipeline.phrases import counted
from pipeline.sources.entry import Entry, Source, plain_part
from pipeline.sources.options import SourceOptions
from pipeline.sources.tars import SHARDS, is_shard, members
from pipeline.tables import OPEN_SETS

_MAX_LABEL = 1024**2  # bytes of a .cls or .json
_KEYS = ("class", "label")  # of a .json; the first that is there


def shards_source(path: Path, options: SourceOptions, name: str) -> Source:
    """One tar, or a folder of them.

    Args:
        path: .tar, .tar.gz or .tgz, or a folder that holds such files.
        options: domain and open_set count here.
        name: the domain's name, where neither the shards nor the options name one.
    Raises:
        DataError: a shard or member is refused as in `members`, an image has no class, a label file is no label, or
            folders are at several depths. The member is named.
        ParamsError: no domain is known.
    """
    shards = [path] if path.is_file() else sorted(entry for entry in path.iterdir() if is_shard(entry))
    if not shards:
        raise DataError(f"{path}: no shards found; expected files that end in {', '.join(SHARDS)}")
    seen = _Seen()
    for shard in shards:
        for member, _, _ in members(shard):
            seen.add(member)
    if not seen.images:
        raise DataError(f"{path}: no images found in the shards; expected files that end in {', '.join(SUFFIXES)}")
    count = f"{counted(len(shards), 'shard')}, {counted(seen.images, 'image')}"
    fallback, pool = options.domain or name, options.open_set
    if seen.labels:
        if not (fallback or pool or seen.json):
            raise ParamsError(f"{path}: names no domain; name it with --domain")
        notes = [f"{path}: webdataset groups in {count}; files are named by shard and key"]
        return Source(path, "shards", lambda: _groups(shards, options, fallback), notes=notes)
    depth = _depth(path, seen, pool)
    if depth == 2 and options.domain:
        raise ParamsError(f"--domain {options.domain}: {path} holds domain/class/image already; remove --domain")
    if depth == 1 and not (fallback or pool):
        raise ParamsError(f"{path}: holds class/image; name its domain with --domain")
    prefix = f"{OPEN_SETS}/{pool}/" if pool else "" if depth == 2 else f"{fallback}/"
    notes = [f"{path}: {'domain/class/image' if depth == 2 else 'class/image'} in {count}"]
    return Source(path, "shards", lambda: _plain(shards, depth, prefix), notes=notes)


@dataclass
class _Seen:
    images: int = 0
    labels: bool = False
    json: bool = False
    folders: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, member: PurePosixPath) -> None:
        suffix = member.suffix.lower()
        self.labels |= suffix in (".cls", ".json")
        self.json |= suffix == ".json"
        if suffix in SUFFIXES:
            self.images += 1
            self.folders.add(member.parent.parts)


def _depth(path: Path, seen: _Seen, open_set: str | None) -> int:
    """2 for domain/class/image, 1 for class/image; folders above, if all the same, do not count."""
    depths = {len(folders) for folders in seen.folders}
    if len(depths) != 1 or 0 in depths:
        raise DataError(
            f"{path}: images below {' and '.join(map(str, sorted(depths)))} folders; expected domain/class/image or "
            "class/image at one depth, or a .cls or .json beside each image"
        )
    depth = min(2, depths.pop())
    if open_set and depth == 2:
        depth = 1
    outer = sorted({"/".join(folders[:-depth]) for folders in seen.folders})
    if len(outer) > 1:
        raise DataError(
            f"{path}: images below several folders ({', '.join(outer[:3])}); expected "
            + ("class/image for an open set" if open_set else "domain/class/image or class/image")
        )
    return depth


def _plain(shards: Sequence[Path], depth: int, prefix: str) -> Iterator[Entry]:
    for shard in shards:
        for member, _, read in members(shard):
            if member.suffix.lower() in SUFFIXES:
                yield Entry(prefix + "/".join(member.parts[-depth - 1 :]), f"{shard}: {member}", content=read())


def _groups(shards: Sequence[Path], options: SourceOptions, fallback: str) -> Iterator[Entry]:
    for shard in shards:
        stem = shard.name[: next(len(shard.name) - len(s) for s in reversed(SHARDS) if shard.name.lower().endswith(s))]
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
        member_key = str(member.parent / member.name.split(".", 1)[0])
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
