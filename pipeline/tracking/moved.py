"""A local store whose workspace was moved or copied: its rows name files by absolute paths, which are put right."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.errors import TrackingError
from pipeline.storage import explain

STATE, ARTIFACTS = ".croft", "mlartifacts"
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
"""Where MLflow keeps the places of files; no other tag of a trace begins with the folder of a store."""
_FILE = "file://"
_PATIENCE = 60.0  # seconds that another process may hold the database
_UNCHANGEABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


def artifacts_folder(database: Path | None, workspace: Path) -> Path:
    """Where files of a store lie: beside its database if that is a workspace's own, else in the present workspace.

    Args:
        database: the store's SQLite file; None for a database of another kind.
        workspace: absolute, links resolved.
    """
    if database is not None and database.parent.name == STATE:
        return database.parent.parent.resolve() / STATE / ARTIFACTS  # .croft itself may be a link to a larger disk
    return workspace / STATE / ARTIFACTS


def mend(database: Path, workspace: Path) -> str:
    """Let the rows of a store name the files where they lie now, all in one transaction.

    Nothing is done unless the files went with the workspace: the database is the workspace's own; or it lies elsewhere,
    and the files are here and no longer where its rows say. Rows that name any other place stay.

    Args:
        database: the SQLite file; it may be missing or empty.
        workspace: the present one, absolute, links resolved.
    Returns:
        One line that says what was done, "" if there was nothing to do.
    Raises:
        TrackingError: the database is in use, or its disk is full.
    """
    here = artifacts_folder(database, workspace)
    try:
        with _opened(database) as connection:
            if not _left(connection, database, workspace, here):
                return ""
            connection.execute("BEGIN IMMEDIATE")  # another process may have done it since
            former = _left(connection, database, workspace, here)
            for folder in former:
                _rewrite(connection, folder, here)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        return _unchanged(error, database)
    if not former:
        return ""
    places = " and ".join(str(folder.parent.parent) for folder in former)
    return f"{database}: moved or copied from {places}; its runs and models are now found in {here.parent.parent}"


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    # Not `sqlite3.connect(...) as`: that would end the transaction, but not close the file.
    uri = f"{_FILE}{quote(str(database.resolve()))}?mode=rw"  # never creates a file
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection:
        yield connection


def _unchanged(error: sqlite3.Error, database: Path) -> str:
    """What to say of a store that was not changed; what MLflow itself will report is left to it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _UNCHANGEABLE and database.is_file():
        return (
            f"{database}: moved or copied, and its models are not found until a command can write to it: "
            f"{explain(error, database) or error}"
        )
    if code == sqlite3.SQLITE_BUSY:
        raise TrackingError(f"{database}: in use by another process; run this again when that has ended") from None
    if database.is_file() and (line := explain(error, database)):
        raise TrackingError(line) from None
    return ""


def _left(connection: sqlite3.Connection, database: Path, workspace: Path, here: Path) -> list[Path]:
    """The folders of files that rows name and that are `here` now."""
    named = _named(connection)
    if database.parent.name == STATE:
        named = named[:1]  # made with the database; others may come from workspaces that write to this store
    former = [folder for folder in named if folder != here and not _same(folder, here)]
    if database.parent.name == STATE:
        return former
    place = database.parent.resolve() / database.name
    if place.is_relative_to(workspace):
        inside = place.relative_to(workspace)
        return [folder for folder in former if not folder.exists() or (folder.parent.parent / inside).exists()]
    return [folder for folder in former if not folder.exists() and _holds_any(connection, folder, here)]


def _same(folder: Path, here: Path) -> bool:
    """Whether both names lead to one folder, as where a link was left at the old place."""
    try:
        return folder.samefile(here)
    except OSError:
        return False


def _named(connection: sqlite3.Connection) -> list[Path]:
    """Folders of files that experiments name, the oldest experiment first."""
    rows = connection.execute("SELECT artifact_location FROM experiments ORDER BY experiment_id").fetchall()
    paths = (_path(row[0]) for row in rows)
    # MLflow's own experiment 0 has a folder 0 in it.
    folders = (path.parent if path.name.isdigit() else path for path in paths if path is not None)
    return list(dict.fromkeys(folder for folder in folders if folder.parts[-2:] == (STATE, ARTIFACTS)))


def _holds_any(connection: sqlite3.Connection, former: Path, here: Path) -> bool:
    """Whether files of a run or model that rows place in `former` lie `here`."""
    places = [*connection.execute("SELECT artifact_location FROM logged_models"), *_runs(connection)]
    paths = (_path(row[0]) for row in places)
    return any((here / path.relative_to(former)).exists() for path in paths if path and path.is_relative_to(former))


def _runs(connection: sqlite3.Connection) -> list[tuple[str]]:
    return connection.execute("SELECT artifact_uri FROM runs").fetchall()


def _rewrite(connection: sqlite3.Connection, former: Path, here: Path) -> None:
    def moved(value: str | float | None) -> str | float | None:
        path = _path(value)
        if path is None or not path.is_relative_to(former):
            return value
        target = here / path.relative_to(former)
        return target.as_uri() if str(value).startswith(_FILE) else str(target)

    connection.create_function("moved", 1, moved, deterministic=True)
    for table, column in _PLACES:
        if column in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
            statement = f"UPDATE {table} SET {column} = moved({column}) WHERE moved({column}) <> {column}"  # noqa: S608
            connection.execute(statement)


def _path(value: object) -> Path | None:
    """The absolute path that a row names; None for a place on a server, or none."""
    if not isinstance(value, str):
        return None
    text = unquote(value.removeprefix(_FILE)) if value.startswith(_FILE) else value
    return Path(text) if text.startswith("/") else None
