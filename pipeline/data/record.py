"""What was read stays known: the facts of each image beside the marks of its file, in a SQLite file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.data.reading import Facts, version
from pipeline.errors import DataError

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS version (version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS images (
    root TEXT NOT NULL, path TEXT NOT NULL, signature TEXT NOT NULL, {", ".join(Facts._fields)},
    PRIMARY KEY (root, path)
) WITHOUT ROWID;
"""
_WAIT = 60.0  # seconds for another process that writes


class ReadingRecord:
    """Facts of images by data root and path. Use as a context manager.

    What was added is there, or is not, after a kill at any point; the file is never half written. Several processes
    may use it at once. Facts that another version of the reading code or of the decoders found are forgotten.

    Args:
        path: of the file; made if it is missing.
        root: of the data, as params.yaml names it.
    Raises:
        DataError: the file cannot be opened or is no such record.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path, self._root = path, root.as_posix()
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=_WAIT, isolation_level=None)
            # A write-ahead log: a kill costs nothing, a power cut the last additions at most, and no addition waits
            # for the disk. Where the file system cannot have one SQLite keeps to its slower journal.
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._file.execute(statement)
                if self._file.execute("SELECT version FROM version").fetchall() != [(version(),)]:
                    self._file.execute("DELETE FROM version")
                    self._file.execute("DELETE FROM images")
                    self._file.execute("INSERT INTO version VALUES (?)", (version(),))

    def __enter__(self) -> ReadingRecord:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, paths: Sequence[str]) -> dict[str, tuple[str, Facts]]:
        """Signature and facts of those of `paths`, which are sorted, that are known."""
        if not paths:
            return {}
        wanted = set(paths)
        query = (
            f"SELECT path, signature, {', '.join(Facts._fields)} FROM images WHERE root = ? AND path BETWEEN ? AND ?"  # noqa: S608
        )
        with self._errors():
            rows = self._file.execute(query, (self._root, paths[0], paths[-1]))
            return {path: (signature, Facts(*facts)) for path, signature, *facts in rows if path in wanted}

    def add(self, images: Iterable[tuple[str, str, Facts]]) -> None:
        """Store (path, signature, facts) in one transaction; an earlier entry of the path is replaced."""
        rows = [(self._root, path, signature, *facts) for path, signature, facts in images]
        marks = ", ".join("?" * (3 + len(Facts._fields)))
        with self._errors(), self._transaction():
            self._file.executemany(f"INSERT OR REPLACE INTO images VALUES ({marks})", rows)  # noqa: S608

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
                self._file.execute("ROLLBACK")
            raise
        self._file.execute("COMMIT")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DataError(
                f"{self._path}: the record of what was read failed ({error}); free some disk, or remove the file to "
                "read every image again"
            ) from None
