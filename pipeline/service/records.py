"""The log of predictions: rows in memory, written to Parquet files in a thread; no request waits for it or fails."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.service.metrics import Metrics
from pipeline.service.model import Decision, Model
from pipeline.storage import check_writable, explain
from pipeline.tables import atomic_path

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS, SECONDS = 10_000, 60.0
"""A file is written when so many rows wait, or the first of them has waited so long."""
BUFFER = 10 * ROWS
"""Rows that are kept while files cannot be written; then the oldest are given up."""

logger = logging.getLogger("croft.serve")


class Record(NamedTuple):
    """One image's row; never the image itself."""

    time: datetime
    request: str
    row: int
    model: str
    version: str
    label: str | None
    class_: str | None
    probability: float | None
    score: float | None
    unknown: bool | None
    error: str | None
    latency: float
    embedding: np.ndarray | None


class PredictionLog:
    """Collects rows and writes them.

    Args:
        folder: is created.
        metrics: counts rows, failures and rows given up.
        rows, seconds: when a file is written.
        buffer: rows that are kept at most.
    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, metrics: Metrics, *, rows: int = ROWS, seconds: float = SECONDS, buffer: int = BUFFER
    ) -> None:
        check_writable(folder)
        self._folder, self._metrics, self._rows, self._seconds = folder, metrics, rows, seconds
        self._waiting: deque[Record] = deque()
        self._buffer, self._number, self._failing = buffer, 0, False
        self._lock, self._wake, self._ending = threading.Lock(), threading.Event(), False
        self._thread = threading.Thread(target=self._write_on, name="prediction-log", daemon=True)
        self._thread.start()

    def add(
        self, model: Model, request_id: str, decisions: Sequence[Decision | str], latency: float, *, embedding: bool
    ) -> None:
        """Take the rows of one request; called in the event loop.

        Args:
            model: that decided.
            request_id: of the answer's header.
            decisions: one for each image.
            latency: seconds from the request's body to its answer.
            embedding: whether the client asked for it.
        """
        now = datetime.now(UTC)
        records = [_record(model, request_id, row, item, now, latency, embedding) for row, item in enumerate(decisions)]
        with self._lock:
            self._waiting.extend(records)
            self._give_up_oldest()
            if len(self._waiting) >= self._rows:
                self._wake.set()

    def close(self) -> None:
        """Write what is left."""
        self._ending = True
        self._wake.set()
        self._thread.join()

    def _write_on(self) -> None:
        while not self._ending:
            self._wake.wait(self._seconds)
            self._wake.clear()
            while self._write() and len(self._waiting) >= self._rows:
                pass
            if self._failing and not self._ending:
                time.sleep(min(1.0, self._seconds))  # a full buffer would try again at once
        while self._waiting and self._write():
            pass

    def _write(self) -> bool:
        """Write one file; False if that failed, and its rows wait again."""
        with self._lock:
            taken = [self._waiting.popleft() for _ in range(min(self._rows, len(self._waiting)))]
        if not taken:
            return True
        name = f"{taken[0].time:%Y%m%dT%H%M%S.%f}-{os.getpid()}-{self._number}.parquet"
        try:
            _write_file(taken, self._folder / name)
        except Exception as error:  # of the disk or of Arrow: predictions go on without their log
            with self._lock:
                self._waiting.extendleft(reversed(taken))
                self._give_up_oldest()
            self._metrics.log_failures.inc()
            if not self._failing:
                logger.error("the log of predictions is not written: %s", explain(error, self._folder) or error)
            self._failing = True
            return False
        if self._failing:
            logger.warning("the log of predictions is written again")
        self._failing = False
        self._number += 1
        self._metrics.log_rows.inc(len(taken))
        return True

    def _give_up_oldest(self) -> None:
        while len(self._waiting) > self._buffer:
            self._waiting.popleft()
            self._metrics.log_dropped.inc()


def schema() -> pa.Schema:
    """Columns of a file."""
    import pyarrow as pa

    return pa.schema(
        [
            ("time", pa.timestamp("us", "UTC")),
            ("request", pa.string()),
            ("row", pa.int32()),  # of the image in its request
            ("model", pa.string()),
            ("version", pa.string()),
            ("label", pa.string()),
            ("class", pa.string()),
            ("probability", pa.float32()),
            ("score", pa.float32()),
            ("unknown", pa.bool_()),
            ("error", pa.string()),
            ("latency", pa.float32()),  # seconds
            ("embedding", pa.list_(pa.float32())),  # only where the client asked for it
        ]
    )


def _write_file(records: Sequence[Record], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [pa.array(values, field.type) for values, field in zip(zip(*records, strict=True), schema(), strict=True)]
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=schema()), temporary)


def _record(
    model: Model, request_id: str, row: int, item: Decision | str, now: datetime, latency: float, embedding: bool
) -> Record:
    name, version = model.source.name, model.source.version
    if isinstance(item, str):
        return Record(now, request_id, row, name, version, None, None, None, None, None, item, latency, None)
    best = int(item.probabilities.argmax())
    vector = item.embedding if embedding else None
    values = (model.label(item), model.classes[best], float(item.probabilities[best]), item.score, item.unknown)
    return Record(now, request_id, row, name, version, *values, None, latency, vector)
