"""Embeddings kept by content: what was encoded once with these weights and this transform is never encoded again."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import DataError
from pipeline.storage import explain

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
_FIRST_SIZE = 64 * 2**20  # bytes; the file is sparse and doubles when full
_READ_CHUNK = 10_000  # keys per read transaction, so that a long read does not hold back the reuse of pages


class EmbeddingStore:
    """float32 rows in an LMDB file, keyed by a hash of (space, key). Use as a context manager.

    A batch is one transaction: after a kill at any point it is there as a whole or not at all, and no lock is left
    behind. Several processes may read and write at once; a process may open one store only once.

    Args:
        path: folder of the store; made if it is missing.
        space: everything but the image that decides an embedding: weights, transform, dtype.
        width: D, numbers per row.
    Raises:
        DataError: the store cannot be opened.
    """

    def __init__(self, path: Path, space: str, *, width: int) -> None:
        import lmdb

        self._path, self._width = path, width
        self._space = hashlib.sha256(space.encode()).digest()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._env: Any = lmdb.open(str(path), map_size=_FIRST_SIZE, max_readers=512)
            self._env.reader_check()  # forget readers that were killed; they would keep old pages from being reused
        except (lmdb.Error, OSError) as error:
            raise DataError(
                explain(error, path)
                or f"{path}: the embedding store cannot be opened ({error}); remove the folder to encode anew"
            ) from None

    def __enter__(self) -> EmbeddingStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        self._env.close()

    def get_many(self, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Look rows up.

        Args:
            keys: N keys.
        Returns:
            (N,) bool, which are stored, and (N, D) float32, zero where not.
        """
        import numpy as np

        held = np.zeros(len(keys), dtype=bool)
        rows = np.zeros((len(keys), self._width), dtype=np.float32)
        self._in_chunks(keys, held, rows)
        return held, rows

    def contains(self, keys: Sequence[str]) -> np.ndarray:
        """Which of N keys the store holds: (N,) bool; no row is read."""
        import numpy as np

        held = np.zeros(len(keys), dtype=bool)
        self._in_chunks(keys, held, None)
        return held

    def put_many(self, keys: Sequence[str], rows: np.ndarray) -> None:
        """Store rows in one transaction; when this returns they are on disk.

        Args:
            keys: N keys.
            rows: (N, D) float32, finite.
        Raises:
            DataError: the rows do not fit the store, or are not finite; the disk is full.
        """
        import numpy as np

        if rows.shape != (len(keys), self._width) or rows.dtype != np.float32:
            raise DataError(
                f"{self._path}: expected float32 rows of {(len(keys), self._width)}, found {rows.dtype} {rows.shape}"
            )
        if not np.isfinite(rows).all():
            raise DataError(f"{self._path}: refused embeddings that are not finite; check the backbone's weights")
        items = [(self._key(key), row.tobytes()) for key, row in zip(keys, rows, strict=True)]
        self._retry(lambda: self._write(items))

    def _key(self, key: str) -> bytes:
        return hashlib.sha256(self._space + key.encode()).digest()

    def _in_chunks(self, keys: Sequence[str], held: np.ndarray, rows: np.ndarray | None) -> None:
        for start in range(0, len(keys), _READ_CHUNK):
            self._retry(functools.partial(self._read, keys, start, held, rows))

    def _read(self, keys: Sequence[str], start: int, held: np.ndarray, rows: np.ndarray | None) -> None:
        import numpy as np

        with self._env.begin(buffers=True) as transaction:
            for position in range(start, min(start + _READ_CHUNK, len(keys))):
                value = transaction.get(self._key(keys[position]))
                if value is not None and len(value) == 4 * self._width:
                    held[position] = True
                    if rows is not None:
                        rows[position] = np.frombuffer(value, dtype=np.float32)

    def _write(self, items: list[tuple[bytes, bytes]]) -> None:
        with self._env.begin(write=True) as transaction:
            for key, value in items:
                transaction.put(key, value)

    def _retry(self, act: Callable[[], T]) -> T:
        import lmdb

        try:
            while True:
                try:
                    return act()
                except lmdb.MapFullError:
                    self._env.set_mapsize(2 * self._env.info()["map_size"])
                except lmdb.MapResizedError:
                    self._env.set_mapsize(0)  # another process has grown the file: take its size over
        except (lmdb.Error, OSError) as error:
            raise DataError(
                explain(error, self._path)
                or f"{self._path}: the embedding store failed ({error}); remove the folder to encode anew"
            ) from None
