"""`croft data`: one addition as a person starts it, and the commands that look at versions."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import commit, make_project, write_pictures

from pipeline.cli.data import diff_data, list_data, show_data
from pipeline.versioning.history import read_history

Croft = Callable[..., "subprocess.Popen[str]"]
PATIENCE = 300.0  # seconds; only reached when something is broken


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def test_adding_is_a_flow_that_versions_records_and_reports(
    tmp_path: Path, croft: Croft, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_project(tmp_path / "project")
    write_pictures(tmp_path / "mine", {"photo/dog/1.png": 1, "photo/cat/1.png": 2, "sketch/dog/1.png": 3})
    out, err = (run := croft(root, "data", "add", "../mine", "--name", "mine")).communicate(timeout=PATIENCE)
    assert run.returncode == 0, out + err
    (version,) = read_history(root, "mine")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert f"mine version 1: 3 images, {version.bytes} B, 2 domains, 2 classes" in lines
    table = lines[lines.index("Class photo sketch all") :]
    assert [line for line in table if line[:3] in ("cat", "dog", "all")] == ["cat 1 – 1", "dog 1 1 2", "all 2 1 3"]
    assert "git add data/mine.dvc data/mine.versions.yaml data/.gitignore" in lines
    assert "To use it: croft use folder data/mine" in lines

    # MLflow: a finished run whose data set is named, and carries the hash that DVC wrote.
    store = root / ".croft/mlflow.db"
    sql = "SELECT d.name, d.digest, i.destination_id FROM datasets d JOIN inputs i ON i.source_id = d.dataset_uuid"
    assert query(store, sql) == [("mine", version.md5, version.run_id)]
    assert f"md5: {version.md5}" in (root / "data/mine.dvc").read_text()
    assert query(store, "SELECT run_uuid, name, status FROM runs") == [(version.run_id, "version-data", "FINISHED")]
    measured = dict(query(store, "SELECT key, value FROM latest_metrics"))
    assert {key: measured[key] for key in ("images", "domains", "classes", "added")} == {
        "images": 3,
        "domains": 2,
        "classes": 2,
        "added": 3,
    }
    # Prefect: the flow and its tasks.
    history = root / ".croft/prefect/prefect.db"
    assert query(history, "SELECT f.name, r.state_type FROM flow_run r JOIN flow f ON f.id = r.flow_id") == [
        ("version-data", "COMPLETED")
    ]
    tasks = [name for (name,) in query(history, "SELECT name FROM task_run ORDER BY start_time")]
    assert tasks == ["inspect", "check", "place", "commit", "push", "record"]

    commit(root, "mine")
    monkeypatch.chdir(root)
    list_data(remote=False)
    text = capsys.readouterr().out
    row = next(line.split() for line in text.splitlines() if " mine " in line)
    assert row == ["mine", version.md5[:12], "workspace,", "cache", "1", "3", "2", "2", "0", str(version.bytes), "B"]
    assert "params.yaml uses data/builtin/digits" in text
    show_data("mine@1")
    assert "dog         1        1     2" in capsys.readouterr().out
    diff_data("mine@1", "mine@HEAD")
    assert capsys.readouterr().out == "mine@1 -> mine@1: no differences\n"


@pytest.mark.slow
def test_what_stops_an_addition_is_one_line_and_what_was_added_stays(tmp_path: Path, croft: Croft) -> None:
    root = make_project(tmp_path / "project")
    write_pictures(tmp_path / "mine", {"photo/dog/1.png": 1, "photo/cat/1.png": 2})
    (tmp_path / "mine/photo/dog/2.png").write_bytes(b"no image")
    out, err = (run := croft(root, "data", "add", "../mine", "--name", "mine")).communicate(timeout=PATIENCE)
    assert (run.returncode, out) == (2, "")
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: ../mine: 1 bad image, nothing was added; ")
    assert "mine/photo/dog/2.png: not an image of a known format" in err

    config = root / ".dvc" / "config"
    config.write_text(f"{config.read_text()}    remote = store\n['remote \"store\"']\n    url = {tmp_path}/file/x\n")
    (tmp_path / "file").touch()
    add = ("data", "add", "../mine", "--name", "mine", "--on-bad-image", "skip")
    out, err = (run := croft(root, *add)).communicate(timeout=PATIENCE)
    assert run.returncode == 2
    assert "mine version 1: 2 images" in out
    assert "Left out, because they cannot be used:" in out
    assert err.splitlines()[-1].startswith("error: mine is under DVC here, but was not pushed to store: ")
    assert read_history(root, "mine")[0].run_id
    states = query(root / ".croft/prefect/prefect.db", "SELECT state_type FROM flow_run ORDER BY start_time")
    assert states == [("FAILED",), ("FAILED",)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "nowhere", "--name", "x"), "error: nowhere: no such file or folder\n"),
        (("add", ".", "--name", "../x"), "error: --name: invalid name '../x'; expected a letter or digit"),
        (("add", ".", "--name", "builtin"), "error: --name: 'builtin' is reserved: data/builtin holds other files"),
        (("show", "x"), "error: data/x: no such data set under DVC; add one with `croft data add PATH --name NAME`\n"),
        (
            ("diff", "x@1", "x@2"),
            "error: x@1: neither a version number (none) nor a git revision that has ",
        ),
        (("add", ".", "--name", "x", "--domain", "mean"), "error: --domain: a domain cannot be called 'mean'"),
        (
            ("add", ".", "--name", "x", "--open-set", "train"),
            "error: --open-set: a pool cannot be called 'train'",
        ),
        (
            ("add", ".", "--name", "x", "--benchmark", "pasc"),
            "error: --benchmark: unknown benchmark 'pasc'; did ",
        ),
        (("use", "x"), "error: x: expected NAME@<version number> or NAME@<git revision>\n"),
    ],
)
def test_wrong_arguments_are_one_line_before_anything_starts(
    tmp_path: Path, croft: Croft, arguments: tuple[str, ...], message: str
) -> None:
    root = make_project(tmp_path / "project")
    out, err = (run := croft(root, "data", *arguments)).communicate(timeout=PATIENCE)
    assert (run.returncode, out) == (2, "")
    assert err.startswith(message)
    assert not (root / ".croft").exists()


def test_an_empty_project_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(make_project(tmp_path / "project"))
    list_data(remote=False)
    assert "No data set is under DVC yet; add one with `croft data add PATH --name NAME`" in capsys.readouterr().out
