"""From a reference to DVC's record of the evaluation that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.comparison.reference import Reference
from pipeline.dvc_runner.cache import Cache
from pipeline.dvc_runner.lock import LOCK, Lock, commit_of, lock_at, recorded, workspace_lock
from pipeline.errors import DataError, TrackingError
from pipeline.registry.versions import model_version, open_registry
from pipeline.tracking.client import existing, reported, shown_uri
from pipeline.tracking.identity import Identity, read_identity

SCORES = "artifacts/evaluation/scores.parquet"
CHOICE = "artifacts/evaluation/choice.json"
MANIFEST = "artifacts/manifest.parquet"
RUN_FILE = "artifacts/runs/evaluate.json"
RUN_TAG = "stage.evaluate.run_id"


@dataclass(frozen=True)
class Side:
    """One of two evaluations.

    Attributes:
        title: what it is, for people.
        lock: the stages that made its scores.
        commit: of the code; "" if it is not known.
        dirty: whether tracked files differed from the commit.
    """

    title: str
    lock: Lock
    commit: str
    dirty: bool = False


def resolve(root: Path, cache: Cache, reference: Reference) -> Side:
    """Look up a reference.

    A version names the run of its evaluation, and so does the run of a whole pipeline. The commit on which that run
    was started holds an older dvc.lock, so the record is the one whose identity file names the run.

    Raises:
        DataError: there is no such revision, or no record of its evaluation.
        TrackingError: there is no such version or run, or the server cannot be reached.
    """
    if reference.kind == "workspace":
        return _of_lock("the workspace", workspace_lock(root), cache)
    if reference.kind == "revision":
        return _of_revision(root, reference.text, cache)
    if reference.kind == "version":
        return _of_version(root, cache, reference)
    title = f"run {reference.text[:8]}"
    try:
        return _of_run(root, cache, reference.text, title)
    except DataError:
        run_id = _evaluation_below(root, reference.text)
        if run_id == reference.text:
            raise
    return _of_run(root, cache, run_id, title)


def _of_revision(root: Path, revision: str, cache: Cache) -> Side:
    commit = commit_of(root, revision)
    if not commit:
        raise DataError(
            f"{revision}: no such git revision; a model version is written as its number, NAME/NUMBER or NAME@ALIAS, "
            "a run as its 32 hex digits"
        )
    short = commit[:12]
    side = _of_lock(revision if commit.startswith(revision) else f"{revision} ({short})", lock_at(root, commit), cache)
    return Side(side.title, side.lock, commit)


def _of_lock(title: str, lock: Lock | None, cache: Cache) -> Side:
    if lock is None or SCORES not in lock.outs:
        raise DataError(f"{title}: {LOCK} holds no evaluation; run `croft run` there and commit {LOCK}")
    identity = _identity(lock, cache)
    commit, dirty = (identity.git_commit, identity.git_dirty == "true") if identity else ("", False)
    return Side(title, lock.behind(SCORES), commit, dirty)


def _of_run(root: Path, cache: Cache, run_id: str, title: str) -> Side:
    unread = 0
    for lock in recorded(root, cache, RUN_FILE):
        identity = _identity(lock, cache)
        unread += identity is None
        if identity and identity.run_id == run_id:
            return _of_lock(title, lock, cache)
    records = f"no {LOCK} in the workspace or in git, nor DVC's run cache, holds its evaluation (run {run_id})"
    advice = (
        f"{unread} of them name runs that are not in DVC's cache: run `dvc fetch --all-commits {RUN_FILE}`"
        if unread
        else f"commit {LOCK} after a run that is to be compared"
    )
    raise DataError(f"{title}: {records}; {advice}")


def _identity(lock: Lock, cache: Cache) -> Identity | None:
    """Which run the evaluation of a record is; None where the cache lacks the file that says so."""
    path = cache.object(lock.outs.get(RUN_FILE, ""))
    return read_identity(path) if path.is_file() else None


def _of_version(root: Path, cache: Cache, reference: Reference) -> Side:
    client, uri = open_registry(root)
    with reported(uri):
        version = model_version(client, reference.model, reference.text)
    title = f"{reference.model} version {version.version}"
    run_id = version.tags.get(RUN_TAG)
    if not run_id:
        raise TrackingError(f"{title}: no tag {RUN_TAG}, which names the run of its evaluation")
    alias = "" if reference.text == str(version.version) else f" ({reference.text})"
    return _of_run(root, cache, str(run_id), f"{title}{alias}")


def _evaluation_below(root: Path, run_id: str) -> str:
    """The run of the evaluation that belongs to a run: itself, or a stage below it."""
    client, uri = open_registry(root)
    with reported(uri):
        run = existing(lambda: client.get_run(run_id))
    if run is None:
        raise TrackingError(f"{shown_uri(uri)}: no run {run_id}")
    tags = run.data.tags
    if RUN_TAG in tags:
        return str(tags[RUN_TAG])
    if tags.get("stage") != "evaluate":
        kind = f"of the stage {tags['stage']}" if "stage" in tags else f"without the tag {RUN_TAG}"
        raise TrackingError(f"run {run_id} is {kind}; expected a run of the stage evaluate, or one of `croft run`")
    return run_id
