"""Runs and DVC's records of them: the identity file of a run is an output, so a record names the run that it is of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pipeline.dvc_runner.cache import Cache
from pipeline.dvc_runner.lock import Entry, Lock, Records
from pipeline.errors import DataError
from pipeline.tracking.files import logged_files
from pipeline.tracking.identity import Identity, read_identity

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

RUNS = PurePosixPath("artifacts/runs")


@dataclass(frozen=True)
class Made:
    """What was made together, as DVC recorded it.

    Attributes:
        lock: the stages.
        runs: the run of each stage, as far as DVC's cache has the file that names it.
        unread: stages whose file the cache lacks.
    """

    lock: Lock
    runs: Mapping[str, Identity]
    unread: tuple[str, ...] = ()

    @property
    def ids(self) -> dict[str, str]:
        """Run id by stage."""
        return {stage: identity.run_id for stage, identity in self.runs.items()}

    @property
    def started(self) -> str:
        """When its last stage started, UTC in ISO 8601; "" if that is not known."""
        return max((identity.started for identity in self.runs.values()), default="")


def run_files(lock: Lock) -> dict[str, str]:
    """Stage to MD5 of the file that names its run."""
    outs = lock.outs.items()
    return {PurePosixPath(path).stem: md5 for path, md5 in outs if PurePosixPath(path).parent == RUNS and md5}


def identity_at(cache: Cache, md5: str) -> Identity | None:
    """The identity file with this hash; None where the cache lacks it, or it is none."""
    path = cache.object(md5)
    try:
        return read_identity(path) if path.is_file() else None
    except DataError:
        return None


def read_made(lock: Lock, cache: Cache) -> Made:
    """Look up the runs of a record."""
    found = {stage: identity_at(cache, md5) for stage, md5 in run_files(lock).items()}
    runs = {stage: identity for stage, identity in found.items() if identity}
    return Made(lock, runs, tuple(stage for stage, identity in found.items() if identity is None))


def all_made(records: Records, cache: Cache) -> list[Made]:
    """Every record that is not a part of another one, in no order."""
    paths = [path for path in sorted(records.paths) if PurePosixPath(path).parent == RUNS]
    candidates = {frozenset(run_files(lock).items()): lock for path in paths for lock in records.of(path)}
    whole: list[frozenset[tuple[str, str]]] = []
    for files in sorted(candidates, key=lambda files: (-len(files), sorted(files))):
        if not any(files <= larger for larger in whole):
            whole.append(files)
    return [read_made(candidates[files], cache) for files in whole]


class Index:
    """Recorded stages by the run that they are of: what links a version with its record, whatever bytes are equal.

    Bytes alone would not do: two runs may have made the same file from other data.
    """

    def __init__(self, records: Records, cache: Cache) -> None:
        self._by_run: dict[str, Entry] = {}
        self._by_file: dict[tuple[str, str], Entry] = {}
        known: dict[str, Identity | None] = {}
        for entry in records.entries:
            for stage, md5 in run_files(Lock((entry,))).items():
                self._by_file.setdefault((stage, md5), entry)
                if md5 not in known:
                    known[md5] = identity_at(cache, md5)
                if identity := known[md5]:
                    self._by_run.setdefault(identity.run_id, entry)

    def runs(self) -> dict[str, Entry]:
        """All records by run id."""
        return dict(self._by_run)

    def lock(self, ids: Mapping[str, str], kept: Mapping[str, bytes]) -> Lock | None:
        """The records of the runs of one version.

        Args:
            ids: run id by stage.
            kept: identity files that were logged with the version, by name: where the cache lacks one, its hash tells.
        Returns:
            None if nothing records any of the runs.
        """
        hashes = {name: hashlib.md5(content, usedforsecurity=False).hexdigest() for name, content in kept.items()}
        found = [
            self._by_run.get(run_id) or self._by_file.get((stage, hashes.get(f"{stage}.json", "")))
            for stage, run_id in ids.items()
        ]
        entries = tuple(entry for entry in found if entry is not None)
        return Lock(entries) if entries else None

    def of_version(self, client: MlflowClient, ids: Mapping[str, str], run_id: str) -> Lock | None:
        """`lock` of a version, with the identity files that its run logged where the cache lacks some.

        Args:
            client: of the store that has the version.
            ids: run id by stage.
            run_id: of the run that registered it, "" where that is not known.
        """
        lock = self.lock(ids, {})
        if run_id and (lock is None or len(lock.entries) < len(ids)):
            lock = self.lock(ids, logged_files(client, run_id, RUNS.name))
        return lock


def stage_of(entry: Mapping[str, object]) -> str:
    """The name of a recorded stage: that of its run's file, else its command."""
    outs = entry.get("outs", ())
    paths = [PurePosixPath(str(out["path"])) for out in outs] if isinstance(outs, Sequence) else []
    return next((path.stem for path in paths if path.parent == RUNS), str(entry.get("cmd", "")))
