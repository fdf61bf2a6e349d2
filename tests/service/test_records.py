"""The log of predictions on a real disk that fills, and the files that it leaves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_disk import small_disk

from pipeline.service.metrics import Metrics
from pipeline.service.model import Decision, Model, Source
from pipeline.service.records import PredictionLog
from pipeline.service.settings import Settings


@pytest.fixture(scope="module")
def model(tiny: Path) -> Model:
    return Model(Source("croft", "1", tiny / "model.onnx", tiny / "card.json"), Settings(), device="cpu", threads=1)


def decision(number: int) -> Decision:
    return Decision(np.array([0.25, 0.5, 0.25], np.float32), float(number), False, np.arange(2, dtype=np.float32))


def value(metrics: Metrics, name: str) -> float:
    line = next(line for line in metrics.text().decode().splitlines() if line.startswith(f"{name} "))
    return float(line.split()[1])


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_files_are_written_by_rows_and_by_time(model: Model, tmp_path: Path) -> None:
    metrics = Metrics()
    log = PredictionLog(tmp_path, metrics, rows=4, seconds=0.2)
    log.add(model, "a", [decision(0)] * 9, 0.01, embedding=True)
    wait_for(lambda: value(metrics, "croft_log_rows_total") == 9)
    log.add(model, "b", [decision(1)], 0.01, embedding=False)
    log.close()
    assert sorted(pq.read_metadata(file).num_rows for file in tmp_path.iterdir()) == [1, 1, 4, 4]
    rows = pq.read_table(tmp_path).to_pylist()
    assert [row["embedding"] for row in rows if row["request"] == "b"] == [None]
    first = next(row for row in rows if row["request"] == "a")
    assert (first["embedding"], first["label"], first["probability"]) == ([0.0, 1.0], "green", 0.5)


def test_a_full_disk_costs_the_oldest_rows_only_and_is_told_once(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_disk(tmp_path / "disk", 1) as disk, caplog.at_level(logging.WARNING):
        metrics = Metrics()
        log = PredictionLog(disk.folder / "log", metrics, rows=5, seconds=0.05, buffer=20)
        disk.fill()
        for number in range(30):
            log.add(model, str(number), [decision(number)], 0.01, embedding=False)
        wait_for(lambda: value(metrics, "croft_log_failures_total") >= 2)
        assert value(metrics, "croft_log_dropped_rows_total") == 10
        for file in disk.folder.glob("*"):
            if file.is_file():
                file.unlink()
        log.close()
        files = list((disk.folder / "log").iterdir())
        rows = [row["score"] for file in files for row in pq.read_table(file).to_pylist()]
        assert sorted(rows) == list(range(10, 30))
        assert all(file.suffix == ".parquet" for file in files)
    told = [record.message for record in caplog.records]
    assert len(told) == 2
    assert "no space left" in told[0]
    assert told[1] == "the log of predictions is written again"
