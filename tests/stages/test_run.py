"""What every stage does with an error: one line where a person can mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import Disk, small_disk

from pipeline.params import Params
from stages._run import Record, stage

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", 1) as mounted:
        yield mounted


def test_a_stage_on_a_full_disk_ends_with_one_line(
    disk: Disk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(disk.folder)

    @stage("split", sections=("split",))
    def main(params: Params) -> Record:
        (disk.folder / "splits").mkdir()
        disk.fill()
        (disk.folder / "splits" / "table").write_bytes(bytes(2**20))
        raise AssertionError("the disk was not full")

    from pipeline.tables import write_json

    @stage("split", sections=("split",))
    def other(params: Params) -> Record:
        write_json({"a": "x" * 2**20}, disk.folder / "out.json")
        raise AssertionError("the disk was not full")

    for body in (main, other):
        with pytest.raises(SystemExit) as ended:
            body(PARAMS)
        assert ended.value.code == 2
        line = capsys.readouterr().err
        assert line == (
            f"error: stage 'split': {disk.folder}: no space left (0.0 MB free); free some space there, "
            "then run this again\n"
        )


def test_an_error_that_nobody_expects_keeps_its_traceback() -> None:
    @stage("split", sections=("split",))
    def main(params: Params) -> Record:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main(PARAMS)


def test_a_stage_ends_the_run_that_a_killed_one_left_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
    from pipeline.tracking.identity import read_identity
    from pipeline.tracking.runs import PARENT_VARIABLE

    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    @stage("split", sections=("split",))
    def main(params: Params) -> Record:
        return Record()

    main(PARAMS)
    client = connect(tmp_path)
    run = client.get_run(read_identity(tmp_path / "artifacts/runs/split.json").run_id)
    no_process = {**run.data.tags, "croft.process_started": "0.00"}  # its id has been reused since
    dead = client.create_run(run.info.experiment_id, tags=no_process).info.run_id
    main(PARAMS)
    assert client.get_run(dead).info.status == "KILLED"
    assert capsys.readouterr().out == f"MLflow run {dead} is marked as killed: its process is gone\n"
