"""What a local store keeps of deleted runs and models: found, measured against what registered versions need, freed.

`mlflow gc` asks for no registered model, and without a list of experiments it also drops deleted ones, of which an
entry of the champion's journal may be one. This deletes runs and models by id, and no experiment.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

from pipeline.errors import TrackingError
from pipeline.tracking.client import reported
from pipeline.tracking.local import sqlite_uri
from pipeline.tracking.moved import artifacts_folder
from pipeline.tracking.versions import stage_runs

_DELETED = "deleted"
_GONE = "Deleted_Internal"  # the stage of a version that was deleted; MLflow keeps its row and its tags
_FILE = "file://"
Version = tuple[str, str]
"""Name and number of a registered version."""


@dataclass(frozen=True)
class Dead:
    """A deleted run, or a model that nobody can reach any more.

    Attributes:
        kind: what it is.
        id, name: in MLflow.
        folder: of its files, below the store's own folder; None where there is none to be freed.
        elsewhere: where its files lie instead, "" unless they are outside that folder: they are left.
        kept_for: the version that needs it, as text; "" if it can go.
    """

    kind: Literal["run", "model"]
    id: str
    name: str
    folder: Path | None
    elsewhere: str = ""
    kept_for: str = ""


def find_dead(database: Path, workspace: Path, needed: Collection[Version]) -> list[Dead]:
    """What was deleted in a local store, runs first.

    Args:
        database: its SQLite file.
        workspace: the present one, absolute.
        needed: versions to keep whether or not they were deleted, such as those of the journal. A version that was not
            deleted is always kept, with the runs of its stages.
    Raises:
        TrackingError: the database cannot be read.
    """
    place = artifacts_folder(database, workspace).resolve()
    try:
        with _opened(database) as connection:
            return list(_dead(connection, place, needed))
    except sqlite3.Error as error:
        raise TrackingError(f"{database}: cannot be read ({error}); run `croft doctor`") from None


def free(database: Path, dead: Dead) -> None:
    """Remove files, then the record; what a kill leaves is found again.

    Raises:
        TrackingError: the database refuses.
        OSError: a file cannot be removed.
    """
    if dead.kept_for:
        raise ValueError(f"{dead.kind} {dead.id} is needed by {dead.kept_for}")
    if dead.folder is not None and dead.folder.exists():
        shutil.rmtree(dead.folder)
    uri = sqlite_uri(database)
    with reported(uri):
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        make: Any = SqlAlchemyStore
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # MLflow's own, of SQLAlchemy
            store = make(uri, artifacts_folder(database, database.parent).as_uri())
        if dead.kind == "run":
            store._hard_delete_run(dead.id)
        else:
            store._hard_delete_logged_model(dead.id)


def _dead(connection: sqlite3.Connection, place: Path, needed: Collection[Version]) -> Iterator[Dead]:
    runs_of, models_of = _needs(connection, needed)
    gone: set[str] = set()
    rows = "SELECT run_uuid, name, artifact_uri FROM runs WHERE lifecycle_stage = ? ORDER BY run_uuid"
    for run_id, name, uri in connection.execute(rows, (_DELETED,)):
        keeper = runs_of.get(run_id, "")
        if not keeper:
            gone.add(run_id)
        yield Dead("run", run_id, str(name or ""), *_folder(uri, run_id, place), keeper)
    rows = (
        "SELECT model_id, name, artifact_location, source_run_id, lifecycle_stage FROM logged_models ORDER BY model_id"
    )
    for model_id, name, uri, run_id, stage in connection.execute(rows):
        # A model of a run that goes: nobody can tell any more what made it.
        if stage == _DELETED or run_id in gone:
            keeper = models_of.get(str(uri), "") or runs_of.get(str(run_id), "")
            yield Dead("model", model_id, str(name or ""), *_folder(uri, model_id, place), keeper)


def _needs(connection: sqlite3.Connection, needed: Collection[Version]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Runs by id, and places of models, each with the version that needs it."""
    tags: dict[Version, dict[str, str]] = {}
    for name, number, key, value in connection.execute("SELECT name, version, key, value FROM model_version_tags"):
        tags.setdefault((str(name), str(number)), {})[str(key)] = str(value)
    runs: dict[str, str] = {}
    models: dict[str, str] = {}
    rows = "SELECT name, version, current_stage, run_id, source, storage_location FROM model_versions"
    for name, number, stage, run_id, source, location in connection.execute(rows):
        version = (str(name), str(number))
        if stage == _GONE and version not in needed:
            continue
        title, labels = f"{name} version {number}", tags.get(version, {})
        for needed_run in (run_id, labels.get("mlflow.parentRunId"), *stage_runs(labels).values()):
            runs.setdefault(str(needed_run), title)
        for uri in (source, location):
            models.setdefault(str(uri), title)
    # The row of a deleted version names its run no more; its model does.
    for uri, run_id in connection.execute("SELECT artifact_location, source_run_id FROM logged_models"):
        if str(uri) in models:
            runs.setdefault(str(run_id), models[str(uri)])
    return runs, models


def _folder(uri: object, name: str, place: Path) -> tuple[Path | None, str]:
    """The folder called `name` that a row's place lies in; or that place, where it is not below the store's own."""
    text = str(uri or "")
    path = Path(unquote(text.removeprefix(_FILE))) if text.startswith(_FILE) else Path(text)
    folder = path.parent
    if folder.name != name or not path.is_absolute():
        return None, text
    if folder.is_symlink() or not folder.resolve().is_relative_to(place):
        return None, text
    return folder, ""


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{_FILE.rstrip('/')}{quote(str(database))}?mode=ro", uri=True, timeout=60.0)
    try:
        yield connection
    finally:
        connection.close()
