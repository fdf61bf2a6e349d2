"""From bytes forward: which registered versions and runs read them, by hash, and what for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.dvc_runner.lock import Lock, Records
from pipeline.provenance.inputs import Data, data_of
from pipeline.provenance.roles import MANIFEST, SPLITS, Roles, paths_with, roles_of
from pipeline.provenance.wanted import Wanted, images, parse_wanted
from pipeline.registry.records import Index, all_made
from pipeline.registry.versions import open_registry
from pipeline.tracking.client import reported
from pipeline.tracking.versions import Registered, registered_versions
from pipeline.versioning.contents import listed
from pipeline.versioning.recorded import Named


@dataclass(frozen=True)
class Sight:
    """Something that read the bytes.

    Attributes:
        version: of the model; None for runs that no version came of.
        time: when it was registered, or when its last stage started; UTC, ISO 8601.
        data: the data set that was read.
        images: how many of the bytes' images are in it; None where that is not known, since the cache lacks a listing.
        roles: what these were for; None where the splits are not at hand.
        runs: run id by stage.
    """

    version: Registered | None
    time: str
    data: Data
    images: int | None
    roles: Roles | None
    runs: Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """Attributes:
    wanted: the bytes.
    sights: what read them, the newest first.
    unknown: versions and records of which nothing tells what they read, in words.
    """

    wanted: Wanted
    sights: tuple[Sight, ...]
    unknown: tuple[str, ...]


def seen_by(root: Path, name: str, text: str, *, here: Path | None = None) -> Seen:
    """Answer the question.

    Args:
        root: the project.
        name: of the registered model.
        text: the bytes, as `parse_wanted` reads them.
        here: the folder that a path is relative to.
    Raises:
        DataError, ParamsError: no such bytes are known.
        TrackingError: the server cannot be reached.
    """
    cache = open_cache(root)
    wanted = parse_wanted(root, cache, text, here)
    records = Records(root, cache)
    index, looked = Index(records, cache), _Look(cache, Named(root), wanted)
    client, uri = open_registry(root)
    with reported(uri):
        versions = registered_versions(client, name)
    sights: list[Sight] = []
    unknown: list[str] = []

    def look(lock: Lock, title: str, version: Registered | None, time: str, runs: Mapping[str, str]) -> None:
        try:
            sight = looked.at(lock)
        except LookupError as error:
            unknown.append(f"{title}: {error.args[0]} is not in DVC's cache")
            return
        if sight is not None:
            data, count, roles = sight
            sights.append(Sight(version, time, data, count, roles, runs))

    for version in versions:
        title = f"{name} version {version.number}"
        if lock := index.lock(version.runs, {}):
            look(lock, title, version, version.created, version.runs)
        else:
            unknown.append(f"{title}: no record of its runs")
    covered = {run_id for version in versions for run_id in version.runs.values()}
    for made in all_made(records, cache):
        if made.ids and not covered.issuperset(made.ids.values()):
            look(made.lock, f"runs of {made.started or 'an unknown time'}", None, made.started, made.ids)
    sights.sort(key=lambda sight: (sight.time, int(sight.version.number) if sight.version else 0), reverse=True)
    return Seen(wanted, tuple(sights), tuple(unknown))


class _Look:
    """Compares records with the bytes; what two records share is read once."""

    def __init__(self, cache: Cache, named: Named, wanted: Wanted) -> None:
        self._cache, self._named, self._wanted = cache, named, wanted
        self._paths = functools.cache(self._find)
        self._roles = functools.cache(self._count)

    def at(self, lock: Lock) -> tuple[Data, int | None, Roles | None] | None:
        """The data set, how many of the images it holds, and their roles; None if it holds none of them.

        Raises:
            LookupError: the cache lacks what would tell, which is named.
        """
        data = data_of(lock, self._named)
        if data is None:
            if not lock.params.get("data"):
                raise LookupError("the record of the stage that read its data")
            return None
        found = self._paths(data.md5, lock.outs.get(MANIFEST, ""))
        if found is None:
            if data.md5 != self._wanted.md5:
                raise LookupError(f"the manifest of {data}" if self._wanted.sha256 else f"the listing of {data}")
            return data, None, None
        paths, count = found
        splits = lock.outs.get(SPLITS, "")
        return (data, count, self._roles(splits, paths) if splits else None) if paths else None

    def _find(self, md5: str, manifest: str) -> tuple[frozenset[str], int] | None:
        """Paths of the images in a data set, and how many different ones they are."""
        if self._wanted.sha256:
            paths = paths_with(self._cache, manifest, self._wanted.sha256) if manifest else None
            return None if paths is None else (frozenset(paths), min(len(paths), 1))
        files = listed(self._cache, md5)
        if files is None or self._wanted.files is None:
            return None
        shared = {path: content for path, content in images(files).items() if content in self._wanted.files}
        return frozenset(shared), len(set(shared.values()))

    def _count(self, splits: str, paths: frozenset[str]) -> Roles | None:
        return roles_of(self._cache, splits, paths)
