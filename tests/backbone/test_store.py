from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.backbone.store import EmbeddingStore
from pipeline.errors import DataError

WIDTH = 8
BATCH = 50


def row(number: int, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(number).normal(size=width).astype(np.float32)


def test_rows_come_back_and_lacking_ones_are_marked(tmp_path: Path) -> None:
    rows = np.stack([row(1), row(2)])
    with EmbeddingStore(tmp_path / "deep" / "store", "s", width=WIDTH) as store:
        store.put_many(["a", "b"], rows)
        found, values = store.get_many(["b", "x", "a", "b"])
        np.testing.assert_array_equal(found, [True, False, True, True])
        np.testing.assert_array_equal(values, [rows[1], np.zeros(WIDTH), rows[0], rows[1]])
        np.testing.assert_array_equal(store.contains(["x", "a"]), [False, True])
        assert store.get_many([])[1].shape == (0, WIDTH)
    with EmbeddingStore(tmp_path / "deep" / "store", "s", width=WIDTH) as store:
        assert store.contains(["a", "b"]).all()


def test_spaces_do_not_mix(tmp_path: Path) -> None:
    with EmbeddingStore(tmp_path, "weights 1", width=WIDTH) as store:
        store.put_many(["a"], row(1)[None])
    with EmbeddingStore(tmp_path, "weights 2", width=WIDTH) as store:
        assert not store.contains(["a"]).any()


def test_file_grows_beyond_its_first_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.backbone.store._FIRST_SIZE", 2**17)
    rows = np.stack([row(n, 512) for n in range(600)])  # 1.2 MB into 128 KiB
    with EmbeddingStore(tmp_path, "s", width=512) as store:
        for start in range(0, 600, 200):
            store.put_many([str(n) for n in range(start, start + 200)], rows[start : start + 200])
        found, values = store.get_many([str(n) for n in range(600)])
    assert found.all()
    np.testing.assert_array_equal(values, rows)


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 3), np.float32), np.zeros((1, WIDTH)), np.full((1, WIDTH), np.nan, np.float32)]
)
def test_rows_that_do_not_fit_are_refused(tmp_path: Path, bad: np.ndarray) -> None:
    with EmbeddingStore(tmp_path, "s", width=WIDTH) as store:
        with pytest.raises(DataError, match=r"expected float32 rows|not finite"):
            store.put_many(["a"], bad)
        assert not store.contains(["a"]).any()


def test_damaged_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(DataError, match=r"embedding store cannot be opened.*remove the folder"):
        EmbeddingStore(tmp_path, "s", width=WIDTH)


WRITER = """
import sys
from pathlib import Path
import numpy as np
import pipeline.backbone.store as module
module._FIRST_SIZE = 2**17
first, batches = int(sys.argv[2]), int(sys.argv[3])
with module.EmbeddingStore(Path(sys.argv[1]), "s", width=8) as store:
    for batch in range(batches):
        numbers = range(first + 50 * batch, first + 50 * (batch + 1))
        rows = np.stack([np.random.default_rng(n).normal(size=8).astype(np.float32) for n in numbers])
        store.put_many([str(n) for n in numbers], rows)
        print(batch, flush=True)
"""


def writer(store: Path, first: int, batches: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(store), str(first), str(batches)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)


@pytest.mark.parametrize("batches", [1, 8, 40, 111])
def test_kill_leaves_whole_batches_and_no_lock(tmp_path: Path, batches: int) -> None:
    process = writer(tmp_path, 0, 10_000)
    assert process.stdout is not None
    for _ in range(batches):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    with EmbeddingStore(tmp_path, "s", width=WIDTH) as store:
        found, values = store.get_many([str(n) for n in range(500_000)])
        kept = int(found.sum())
        assert found[:kept].all()  # batches were written in order: the rows that survived are the first ones
        assert kept % BATCH == 0
        assert kept >= BATCH * batches  # what was reported as stored is there
        for number in range(0, kept, 17):
            np.testing.assert_array_equal(values[number], row(number))
        store.put_many(["next"], row(1)[None])  # would hang on a lock that the killed process held
        assert store.contains(["next"]).all()


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    processes = [writer(tmp_path, first, 100) for first in (0, 5000)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    with EmbeddingStore(tmp_path, "s", width=WIDTH) as store:
        found, values = store.get_many([str(n) for n in range(10_000)])
    assert found.all()
    for number in (0, 49, 4999, 5000, 9999):
        np.testing.assert_array_equal(values[number], row(number))
