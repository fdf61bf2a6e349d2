"""Tables and arrays: what was written is read back, damage is refused, and no reader sees a half-written file."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.tables import (
    SPLITS,
    atomic_path,
    read_array,
    read_json,
    read_table,
    write_array,
    write_json,
    write_table,
)

ROW = {"target": "ink", "seed": 1, "path": "ink/one/0.png", "role": "train", "class": "one", "label": 0, "open_set": ""}


def test_table_round_trip(tmp_path):
    frame = pd.DataFrame([ROW, {**ROW, "seed": 2}])
    write_table(frame, tmp_path / "t.parquet", SPLITS)
    back = read_table(tmp_path / "t.parquet", SPLITS)
    assert back.to_dict("records") == frame.to_dict("records")
    assert back["label"].dtype == "int64"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([{k: v for k, v in ROW.items() if k != "role"}]), "expected the columns"),
        (pd.DataFrame([{**ROW, "more": 1}]), "expected the columns"),
        (pd.DataFrame([{**ROW, "label": "x"}]), "splits"),
        (pd.DataFrame([ROW, ROW]), "twice"),
    ],
)
def test_wrong_tables_are_refused_and_nothing_is_written(tmp_path, frame, message):
    with pytest.raises(DataError, match=message):
        write_table(frame, tmp_path / "t.parquet", SPLITS)
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"t\.parquet"):
        read_table(tmp_path / "t.parquet", SPLITS)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"a\.npy"):
        read_array(tmp_path / "a.npy", ndim=1)
    (tmp_path / "j.json").write_text("{")
    with pytest.raises(DataError, match=r"j\.json"):
        read_json(tmp_path / "j.json")


def test_arrays_never_unpickle(tmp_path):
    np.save(tmp_path / "a.npy", np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy"):
        read_array(tmp_path / "a.npy", ndim=1)


def test_array_axes_are_checked(tmp_path):
    write_array(np.arange(6.0).reshape(2, 3), tmp_path / "a.npy")
    assert read_array(tmp_path / "a.npy", ndim=2).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(DataError, match="expected 3 axes"):
        read_array(tmp_path / "a.npy", ndim=3)


def test_json_refuses_nan_and_is_stable(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json({"a": float("nan")}, tmp_path / "j.json")
    assert not (tmp_path / "j.json").exists()
    write_json({"b": 1, "a": [1.5, None]}, tmp_path / "j.json")
    assert read_json(tmp_path / "j.json") == {"a": [1.5, None], "b": 1}


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")

    def interrupted():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")
    code = (
        "import sys, time; from pathlib import Path; from pipeline.tables import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as t:\n"
        "    t.write_text('half'); print('writing', flush=True); time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=10)
    writer.stdout.close()
    time.sleep(0.05)
    assert target.read_text() == "old"
