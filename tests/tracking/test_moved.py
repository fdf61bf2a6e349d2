"""A local store names files where they lie after its workspace was moved or copied, and no other place."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from small_disk import small_disk

from pipeline.errors import TrackingError
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.local import sqlite_uri
from pipeline.tracking.moved import mend
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

ROOT = Path(__file__).parents[2]
ODD = "ä 🐈 [b] #?'\"&; 100%"
MEND = """
import os, sys
from pathlib import Path
from pipeline.tracking import moved
print(moved.mend(*map(Path, sys.argv[1:])))
"""
KILLED = MEND.replace(
    "print",
    "real = moved._rewrite\nmoved._rewrite = lambda *arguments: (real(*arguments), os.kill(os.getpid(), 9))\nprint",
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def work(root: Path) -> str:
    """A run with a file, and a model; returns the run's id."""
    (root / "model").mkdir(parents=True, exist_ok=True)
    (root / "model" / "graph.txt").write_text("graph")
    (root / "note.txt").write_text("note")
    with stage_run("stage", started=time.time(), params={}, out=None, root=root) as run:
        run.log(artifacts=[root / "note.txt"])
        experiment = run.client.get_run(run.run_id).info.experiment_id
        model = run.client.create_logged_model(experiment, name="m", source_run_id=run.run_id)
        run.client.log_model_artifacts(model.model_id, str(root / "model"))
        if not run.client.search_registered_models():
            run.client.create_registered_model("m")
        run.client.create_model_version("m", model.artifact_location, run.run_id, model_id=model.model_id)
    return run.run_id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a store; tests copy it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
            patch.delenv(name, raising=False)
        root = tmp_path_factory.mktemp("made") / "work space"
        work(root)
        return root


def database(root: Path) -> Path:
    return root / ".croft" / "mlflow.db"


def texts(file: Path) -> list[str]:
    """Every text in the database that names a folder of artifacts."""
    with closing(sqlite3.connect(file)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = (row for table in tables for row in connection.execute(f"SELECT * FROM {table}"))  # noqa: S608
        cells = (cell for row in rows for cell in row)
        return [cell for cell in cells if isinstance(cell, str) and "mlartifacts" in cell]


def tree(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def clone(made: Path, target: Path) -> Path:
    """A copy whose store says that it lies in `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(made, target)
    mend(database(target), target)
    return target


@pytest.mark.parametrize("name", ["plain", "with space", ODD])
def test_every_row_names_the_new_place(made: Path, tmp_path: Path, name: str) -> None:
    first = clone(made, tmp_path / ODD / "first")
    count = len(texts(database(made)))
    assert count == 6  # two experiments, a run, a model, a version with two columns
    target = tmp_path / name / "workspace"
    target.parent.mkdir(exist_ok=True)
    first.rename(target)
    line = mend(database(target), target)
    assert line == (f"{database(target)}: moved or copied from {first}; its runs and models are now found in {target}")
    found = texts(database(target))
    assert len(found) == count
    prefix = (target / ".croft" / "mlartifacts").as_uri()
    assert {text for text in found if not text.startswith(prefix)} == set()
    assert mend(database(target), target) == ""
    client = connect(target)
    (run,) = client.search_runs([client.get_experiment_by_name("croft").experiment_id])
    assert [item.path for item in client.list_artifacts(run.info.run_id)] == ["note.txt"]


def test_a_copy_writes_nothing_into_the_original_which_goes_on(made: Path, tmp_path: Path) -> None:
    original = clone(made, tmp_path / "original")
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    before = tree(original)
    run = work(copy)
    assert tree(original) == before
    assert (copy / ".croft" / "mlartifacts" / run / "artifacts" / "note.txt").is_file()
    after = tree(copy)
    run = work(original)
    assert tree(copy) == after
    assert (original / ".croft" / "mlartifacts" / run / "artifacts" / "note.txt").is_file()


def test_connect_says_so_once_and_not_on_standard_output(
    made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = clone(made, tmp_path / "a").rename(tmp_path / "b")
    connect(root)
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"{database(root)}: moved or copied from {tmp_path / 'a'}; ")
    connect(root)
    assert capfd.readouterr().err == ""


def test_an_experiments_folder_is_no_move(made: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = clone(made, tmp_path / "workspace")
    folder = root / ".dvc" / "tmp" / "exps" / "tmp1"
    folder.mkdir(parents=True)
    before = texts(database(root))
    connect(folder)
    assert texts(database(root)) == before
    assert capfd.readouterr().err == ""


def test_rows_of_other_places_stay(made: Path, tmp_path: Path) -> None:
    root = clone(made, tmp_path / "a")
    others = ["s3://bucket/.croft/mlartifacts", (tmp_path / "ab/.croft/mlartifacts").as_uri(), "/elsewhere/mlruns", ""]
    with closing(sqlite3.connect(database(root))) as connection, connection:
        for number, place in enumerate(others):
            connection.execute(
                "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES (?, ?, ?, ?)",
                (100 + number, f"other {number}", place, "active"),
            )
    root = root.rename(tmp_path / "b")
    assert mend(database(root), root)
    with closing(sqlite3.connect(database(root))) as connection:
        rows = connection.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id >= 100 ORDER BY experiment_id"
        )
        assert [row[0] for row in rows] == others


def test_links_that_lead_to_the_same_files_are_no_move(made: Path, tmp_path: Path) -> None:
    root = clone(made, tmp_path / "a")
    disk = tmp_path / "large disk"
    (root / ".croft").rename(disk)
    (root / ".croft").symlink_to(disk)
    assert mend(database(root), root) == ""
    moved = root.rename(tmp_path / "b")
    assert mend(database(moved), moved)
    assert {text.partition("/.croft/")[0] for text in texts(database(moved))} == {moved.as_uri()}

    again = moved.rename(tmp_path / "c")
    moved.symlink_to(again)  # left at the old place
    assert mend(database(again), again) == ""
    moved.unlink()
    assert mend(database(again), again)


def test_processes_that_start_at_once(made: Path, tmp_path: Path) -> None:
    root = clone(made, tmp_path / "a").rename(tmp_path / "b")
    command = [sys.executable, "-c", MEND, str(database(root)), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    lines = [process.communicate(timeout=120)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert len([line for line in lines if line]) == 1
    prefix = (root / ".croft" / "mlartifacts").as_uri()
    assert {text for text in texts(database(root)) if not text.startswith(prefix)} == set()


def test_a_process_that_is_killed_has_changed_nothing(made: Path, tmp_path: Path) -> None:
    root = clone(made, tmp_path / "a").rename(tmp_path / "b")
    before = texts(database(root))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(database(root)), str(root)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    assert texts(database(root)) == before
    assert mend(database(root), root)


@pytest.fixture
def shared(made: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A workspace and a database outside it, as named by the user."""
    root = clone(made, tmp_path / "a")
    file = tmp_path / "team" / "runs.db"
    file.parent.mkdir()
    database(root).rename(file)
    return root, file


def test_a_database_elsewhere_follows_the_workspace_whose_files_it_names(shared: tuple[Path, Path]) -> None:
    root, file = shared
    before = texts(file)
    other = root.with_name("other")
    other.mkdir()
    assert mend(file, other) == ""  # another workspace that writes to it
    copy = root.with_name("copy")
    shutil.copytree(root, copy)
    assert mend(file, copy) == ""  # the files are still where the rows say
    assert texts(file) == before
    moved = root.rename(root.with_name("b"))
    assert mend(file, other) == ""
    assert mend(file, moved).endswith(f"are now found in {moved}")


def test_a_database_beside_the_project_moves_with_it(made: Path, tmp_path: Path) -> None:
    root = clone(made, tmp_path / "a")
    database(root).rename(root / "runs.db")
    foreign = tmp_path / "foreign"
    (foreign / ".croft" / "mlartifacts").mkdir(parents=True)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    assert mend(root / "runs.db", root) == ""
    assert mend(copy / "runs.db", copy)
    root = root.rename(tmp_path / "b")
    assert mend(root / "runs.db", root)


def test_a_store_of_another_workspace_keeps_its_files_beside_it(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = clone(made, tmp_path / "other")
    before = texts(database(other))
    monkeypatch.setenv(URI_VARIABLE, sqlite_uri(database(other)))
    monkeypatch.setenv(EXPERIMENT_VARIABLE, "visitor")
    visitor = tmp_path / "visitor"
    run = work(visitor)
    assert (other / ".croft" / "mlartifacts" / run / "artifacts" / "note.txt").is_file()
    assert set(before) < set(texts(database(other)))
    assert not (visitor / ".croft" / "mlartifacts").exists()


def test_no_store_yet_or_none_of_ours(tmp_path: Path) -> None:
    assert mend(database(tmp_path), tmp_path) == ""
    assert not (tmp_path / ".croft").exists()
    (tmp_path / ".croft").mkdir()
    database(tmp_path).write_bytes(b"")
    assert mend(database(tmp_path), tmp_path) == ""
    database(tmp_path).write_bytes(b"no database" * 1000)
    assert mend(database(tmp_path), tmp_path) == ""  # MLflow says what it is


def test_a_read_only_store_is_read_as_it_is(made: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        root = disk.folder / "project"
        shutil.copytree(made, root)
        before = texts(database(root))
        disk.lock()
        assert mend(database(root), root) == (
            f"{database(root)}: moved or copied, and its models are not found until a command can write to it: "
            f"{database(root)}: its file system is mounted read-only; make it writable, then run this again"
        )
        assert texts(database(root)) == before


def test_a_full_disk_is_one_line_and_changes_nothing(made: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        root = disk.folder / "project"
        shutil.copytree(made, root)
        before = texts(database(root))
        disk.fill()
        with pytest.raises(TrackingError, match=r"mlflow\.db: no space left \(0\.0 MB free\); free some space there"):
            mend(database(root), root)
        assert texts(database(root)) == before
        disk.free()
        assert mend(database(root), root)


def test_a_store_in_use_is_named(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = clone(made, tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setattr("pipeline.tracking.moved._PATIENCE", 0.2)
    with closing(sqlite3.connect(database(root), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrackingError, match="in use by another process; run this again when that has ended"):
            mend(database(root), root)
