"""A record of the images that were read: facts and file signature of each, in a SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.data.reading import Facts, version
from pipeline.errors import DataError
from pipeline.storage import explain

_VERSION = "CREATE TABLE IF NOT EXISTS version (version TEXT NOT NULL)"
_IMAGES = f"""
CREATE TABLE images (
    root TEXT NOT NULL, path TEXT NOT NULL, signature TEXT NOT NULL, {", ".join(Facts._fields)},
    PRIMARY KEY (root, path)
) WITHOUT ROWID
"""
_WAIT = 60.0  # seconds for another process that writes


class ReadingRecord:
    """Facts of images by data root and path. Use as a context manager.

    An addition is atomic: after a kill at any point it is stored as a whole or not at all. Several processes may use
    the file at once. Facts from another version of the reading code or of the decoders are dropped.

    Args:
        path: of the file; created if it is missing.
        root: of the data, as written in params.yaml.
    Raises:
        DataError: the file cannot be opened or is not such a record.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root.as_posix()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            # Write-ahead log: a kill loses nothing, a power cut at most the last additions, and no addition waits for
            # the disk. Where the file system does not support it, SQLite keeps its slower journal.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            with self._transaction():
                self._connection.execute(_VERSION)
                if self._connection.execute("SELECT version FROM version").fetchall() != [(version(),)]:
                    self._connection.execute("DELETE FROM version")
                    self._connection.execute("DROP TABLE IF EXISTS images")  # other code may have had other columns
                    self._connection.execute(_IMAGES)
                    self._connection.execute("INSERT INTO version VALUES (?)", (version(),))

    def __enter__(self) -> ReadingRecord:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def find(self, paths: Sequence[str]) -> dict[str, tuple[str, Facts]]:
        """Signature and facts of the recorded images among `paths`, which must be sorted."""
        if not paths:
            return {}
        wanted = set(paths)
        query = (
            f"SELECT path, signature, {', '.join(Facts._fields)} FROM images WHERE root = ? AND path BETWEEN ? AND ?"  # noqa: S608
        )
        with self._errors():
            rows = self._connection.execute(query, (self._root, paths[0], paths[-1]))
            return {path: (signature, Facts(*facts)) for path, signature, *facts in rows if path in wanted}

    def add(self, images: Iterable[tuple[str, str, Facts]]) -> None:
        """Store (path, signature, facts) in one transaction; an earlier entry of the path is replaced."""
        rows = [(self._root, path, signature, *facts) for path, signature, facts in images]
        marks = ", ".join("?" * (3 + len(Facts._fields)))
        with self._errors(), self._transaction():
            self._connection.executemany(f"INSERT OR REPLACE INTO images VALUES ({marks})", rows)  # noqa: S608

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                explain(error, self._path)
                or f"{self._path}: cannot use the record of images that were read ({error}); remove the file to read "
                "every image again"
            ) from None
