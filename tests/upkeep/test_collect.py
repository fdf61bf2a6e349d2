"""`croft gc` on a real store: what was deleted goes, what a version or the journal needs stays."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.entities import ViewType
from mlflow_server import mlflow_server

from pipeline.checkout.owner import claim
from pipeline.origin import CHECKOUTS, REPRODUCTIONS, process_tags
from pipeline.params import Promote
from pipeline.registry.epochs import epoch_name
from pipeline.registry.gate import Check, Verdict
from pipeline.registry.promotion import promote
from pipeline.registry.register import register_model
from pipeline.tables import write_json
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run
from pipeline.upkeep.collect import collect, find_garbage
from pipeline.upkeep.temporary import AGE

NAME = "croft"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "workspace"
    write_tiny_model(root / "artifacts" / "export")
    monkeypatch.chdir(root)
    return root


def run(root: Path, stage: str) -> str:
    """A finished run with a file."""
    note = root / "note.txt"
    note.write_text("x" * 10_000)
    with stage_run(stage, started=time.time(), params={}, out=None, root=root) as opened:
        opened.log(artifacts=[note])
    return opened.run_id


def register(root: Path, evaluation: str) -> tuple[str, str]:
    """A version whose evaluation is another run; the version and the run that registered it."""
    with stage_run("register", started=time.time(), params={}, out=None, root=root) as opened:
        version = register_model(
            root / "artifacts/export", name=NAME, run_id=opened.run_id, tags={"stage.evaluate.run_id": evaluation},
            metrics={"croft": {"mean": {"accuracy": 0.8}}}, root=root,
        )  # fmt: skip
    return version, opened.run_id


def files(root: Path) -> set[str]:
    """Folders of runs and models in the store that hold a file."""
    place = root / ".croft" / "mlartifacts"
    found = [file.relative_to(place).parts for file in place.rglob("*") if file.is_file()]
    return {parts[1] if parts[0] == "models" else parts[0] for parts in found}


def passing(*_: object, **__: object) -> Verdict:
    return Verdict(True, (Check("accuracy", True, "better"),))


def freed(root: Path) -> dict[str, str]:
    """Kind by the last word of the name of everything that went."""
    done = list(collect(find_garbage(root, NAME).items))
    assert [trouble for _, trouble in done if trouble] == []
    return {item.name.split()[-1]: item.kind for item, _ in done}


def test_what_a_version_or_the_journal_needs_stays(root: Path) -> None:
    client = connect(root)
    evaluation, idle, alone = run(root, "evaluate"), run(root, "evaluate"), run(root, "sweep")
    first, register_first = register(root, evaluation)
    promote(NAME, first, limits=Promote(), gate=passing, root=root)
    second, register_second = register(root, idle)
    promote(NAME, second, limits=Promote(), gate=passing, root=root)
    third, register_third = register(root, alone)
    location = {model.source_run_id: model.model_id for model in client.search_logged_models(["1"])}
    whole = files(root)

    # Version 1 is gone from the registry and stands in the journal; version 3 never was champion.
    for number in (first, third):
        client.delete_model_version(NAME, number)
    for run_id in (evaluation, idle, alone, register_first, register_second, register_third):
        client.delete_run(run_id)
    client.delete_experiment(client.get_experiment_by_name(epoch_name(NAME, 1)).experiment_id)

    before = (root / ".croft" / "mlflow.db").read_bytes()
    garbage = find_garbage(root, NAME)
    assert {item.name.split()[-1] for item in garbage.items} == {alone, register_third, location[register_third]}
    assert garbage.bytes > 20_000
    assert {line.split()[1] for line in garbage.kept if line.startswith("run ")} == {
        evaluation, idle, register_first, register_second
    }  # fmt: skip
    assert f"run {evaluation} was deleted, and croft version 1 needs it" in garbage.kept
    assert (root / ".croft" / "mlflow.db").read_bytes() == before
    assert files(root) == whole

    assert freed(root) == {alone: "run", register_third: "run", location[register_third]: "model"}
    assert whole - files(root) == {alone, register_third, location[register_third]}
    left = client.search_runs(["1"], run_view_type=ViewType.ALL)
    assert {one.info.run_id for one in left} == {evaluation, idle, register_first, register_second}
    assert client.get_experiment_by_name(epoch_name(NAME, 1)) is not None  # an entry of the journal
    assert freed(root) == {}


def test_files_outside_the_store_are_left(root: Path, tmp_path: Path) -> None:
    gone, outside = run(root, "sweep"), tmp_path / "outside"
    connect(root).delete_run(gone)
    (outside / gone / "artifacts").mkdir(parents=True)
    (outside / gone / "artifacts" / "mine.txt").write_text("mine")
    connection = sqlite3.connect(root / ".croft" / "mlflow.db")
    for place in (f"{outside}/{gone}/artifacts", f"{root}/.croft/mlartifacts/../../../outside/{gone}/artifacts"):
        connection.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (f"file://{place}", gone))
        connection.commit()
        garbage = find_garbage(root, NAME)
        assert garbage.items == ()
        assert garbage.kept == (f"run {gone}: its files are not in this workspace's store: file://{place}",)
    connection.close()
    assert (outside / gone / "artifacts" / "mine.txt").is_file()


def test_a_kill_between_files_and_record_is_finished_the_next_time(root: Path) -> None:
    gone = run(root, "sweep")
    connect(root).delete_run(gone)
    (item,) = find_garbage(root, NAME).items
    shutil.rmtree(root / ".croft" / "mlartifacts" / gone)  # as a kill leaves it
    assert freed(root) == {gone: item.kind}


def test_dead_checkouts_and_old_temporary_files(root: Path) -> None:
    long_ago = time.time() - AGE - 60
    gone = {**process_tags(), "croft.pid": "1", "croft.process_started": "1.00", "kept": False}
    for place in (CHECKOUTS, REPRODUCTIONS):
        for name in ("20260101-000000-aaaaaa", "20260101-000000-bbbbbb"):
            (root / place / name).mkdir(parents=True)
            (root / place / name / "file").write_text("x" * 5000)
        write_json(gone, root / place / "20260101-000000-aaaaaa.json")
        claim(root / place / "20260101-000000-bbbbbb")  # this process works there
    old = ["artifacts/.splits.parquet.abcd1234.tmp.parquet", ".croft/models/croft/.download-abcd1234", "data/.adding-x"]
    young = ["artifacts/.metrics.json.abcd1234.tmp.json", "artifacts/splits.parquet", "data/.hidden"]
    for name in [*old, *young]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if ".download" in name or ".adding" in name:
            path.mkdir()
            (path / "file").write_text("x")
            os.utime(path / "file", (long_ago, long_ago))
        else:
            path.write_text("x")
        if name != young[0]:
            os.utime(path, (long_ago, long_ago))
    assert freed(root) == {
        f"{CHECKOUTS}/20260101-000000-aaaaaa": "checkout",
        f"{REPRODUCTIONS}/20260101-000000-aaaaaa": "checkout",
        "data/.adding-x": "addition",
        old[0]: "temporary",
        old[1]: "temporary",
    }
    assert [name for name in old if (root / name).exists()] == []
    assert [name for name in young if not (root / name).exists()] == []
    assert [path.name for path in sorted((root / CHECKOUTS).iterdir())] == [
        "20260101-000000-bbbbbb", "20260101-000000-bbbbbb.json"
    ]  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path / "server") as started:
        yield f"http://{started.host}"


def test_on_a_server_its_operator_does_it(root: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URI_VARIABLE, server)
    gone = run(root, "sweep")
    connect(root).delete_run(gone)
    garbage = find_garbage(root, NAME)
    assert (garbage.items, garbage.server) == ((), server)
    assert connect(root).get_run(gone).info.lifecycle_stage == "deleted"


def test_the_command_says_what_it_would_free_and_what_it_freed(root: Path) -> None:
    (root / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    gone = run(root, "sweep")
    connect(root).delete_run(gone)

    def croft(*arguments: str) -> str:
        command = [sys.executable, "-m", "pipeline.cli", "gc", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True).stdout

    said = croft("--dry-run")
    assert said.startswith("1 deleted run, ")
    assert f"  sweep {gone} (" in said
    assert "would be freed; nothing was changed (--dry-run)\n" in said
    assert "`dvc gc --workspace --all-commits --all-experiments`" in said
    assert gone in files(root)
    assert " freed\n" in croft()
    assert gone not in files(root)
    assert croft().startswith("0 B freed\n")
