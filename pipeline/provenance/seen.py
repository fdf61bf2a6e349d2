"""From bytes forward: which registered versions and runs read them, by hash, and what for."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.cache import Cache, open_cache
from pipeline.dvc_runner.lock import Lock, Records
from pipeline.provenance.inputs import Data, data_of
from pipeline.provenance.records import Made, all_made
from pipeline.provenance.roles import MANIFEST, SPLITS, Roles, paths_with, roles_of
from pipeline.provenance.wanted import Wanted, images, parse_wanted
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
    made = all_made(Records(root, cache), cache)
    client, uri = open_registry(root)
    with reported(uri):
        registered = registered_versions(client, name)
    looked = _Look(cache, Named(root), wanted)
    sights: list[Sight] = []
    unknown: list[str] = []
    for record, versions in _paired(made, registered):
        if record is None:
            unknown += [f"{_titled(name, version)}: no record of its runs" for version in versions]
            continue
        try:
            sight = looked.at(record.lock)
        except LookupError as error:
            titles = [_titled(name, version) for version in versions] or [
                f"runs of {record.started or 'an unknown time'}"
            ]
            unknown += [f"{title}: {error.args[0]} is not in DVC's cache" for title in titles]
            continue
        if sight is None:
            continue
        data, count, roles = sight
        sights += [Sight(item, item.created, data, count, roles, item.runs) for item in versions]
        if not versions and record.runs:
            sights.append(Sight(None, record.started, data, count, roles, record.ids))
        elif not versions:
            unknown.append(f"runs on {data}: the files that name them are not in DVC's cache")
    sights.sort(key=lambda sight: (sight.time, int(sight.version.number) if sight.version else 0), reverse=True)
    return Seen(wanted, tuple(sights), tuple(unknown))


def _titled(name: str, version: Registered) -> str:
    return f"{name} version {version.number}"


def _paired(made: Iterable[Made], versions: Sequence[Registered]) -> Iterable[tuple[Made | None, Sequence[Registered]]]:
    """Each record with the versions that came of it; versions that nothing records come with None."""
    records = list(made)
    of_record: dict[int, list[Registered]] = {}
    lost: list[Registered] = []
    for version in versions:
        fits = [
            (len(record.ids), -place)
            for place, record in enumerate(records)
            if record.ids and record.ids.items() <= version.runs.items()
        ]
        if fits:
            of_record.setdefault(-max(fits)[1], []).append(version)
        else:
            lost.append(version)
    return [
        *((record, of_record.get(place, [])) for place, record in enumerate(records)),
        *([(None, lost)] if lost else []),
    ]


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
