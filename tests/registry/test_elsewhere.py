"""Outputs that were pulled into a workspace with a store of its own: whose version it is, and what made it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import DataError, TrackingError
from pipeline.registry.lineage import lineage
from pipeline.registry.register import register_model
from pipeline.registry.registration import (
    CARD,
    REGISTRATION,
    Registration,
    check_registration,
    read_registration,
    write_registration,
)
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run
from pipeline.tracking.store import known_store

NAME = "croft"
METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a workspace with a store of its own, whose export has a certain hash."""
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)

    def workspace(name: str, graph: str) -> Path:
        root = tmp_path / name
        write_tiny_model(root / "artifacts/export")
        card = json.loads((root / CARD).read_text())
        (root / CARD).write_text(json.dumps({**card, "sha256": {"graph": graph, "manifest": "m"}}))
        monkeypatch.chdir(root)
        with stage_run("split", started=1e9, params={"seeds": [1]}, out=root / "artifacts/runs/split.json") as run:
            run.log(metrics={"rows": 4.0}, datasets=[("manifest", "m", "artifacts/manifest.parquet")])
        return root

    return workspace


def register(root: Path) -> Registration:
    """As the stage does, in the workspace that is the working directory."""
    graph = json.loads((root / CARD).read_text())["sha256"]["graph"]
    runs = {p.stem: json.loads(p.read_text())["run_id"] for p in (root / "artifacts/runs").glob("*.json")}
    with stage_run("register", started=time.time(), params={}, out=root / "artifacts/runs/register.json") as run:
        run.log(datasets=[("model", graph, "m")], artifacts=[root / "artifacts/runs"])
        tags = {f"stage.{name}.run_id": run_id for name, run_id in {**runs, "register": run.run_id}.items()}
        version = register_model(root / "artifacts/export", name=NAME, run_id=run.run_id, tags=tags, metrics=METRICS)
    registration = Registration(NAME, version, run.run_id)
    write_registration(registration, root / REGISTRATION)
    return registration


def pulled(source: Path, root: Path) -> None:
    shutil.rmtree(root / "artifacts")
    shutil.copytree(source / "artifacts", root / "artifacts")


def test_a_registration_holds_in_the_store_that_made_it_and_for_its_own_card_alone(make: Callable[..., Path]) -> None:
    there = make("there", "a")
    registration = register(there)
    assert read_registration(there / REGISTRATION) == registration
    check_registration(registration, there / CARD)  # no error

    card = json.loads((there / CARD).read_text())
    (there / CARD).write_text(json.dumps({**card, "sha256": {**card["sha256"], "graph": "b"}}))
    with pytest.raises(DataError, match=r"card\.json: not the model of croft version 1: graph differ"):
        check_registration(registration, there / CARD)

    here = make("here", "c")
    pulled(there, here)
    with pytest.raises(TrackingError, match="this store has no croft version 1"):
        check_registration(registration, here / CARD)
    other = make("other", "c")
    mine = register(other)
    assert (mine.version, registration.version) == ("1", "1")  # the same number, another model
    pulled(there, other)
    with pytest.raises(TrackingError, match=f"croft version 1 is another model, which run {mine.run_id} registered"):
        check_registration(registration, other / CARD)


def test_what_is_no_registration_is_refused(tmp_path: Path) -> None:
    for content in ("[]", '{"model": "croft", "version": "1"}'):
        (tmp_path / "registration.json").write_text(content)
        with pytest.raises(DataError, match="expected model, version and run_id; run `dvc repro -f register`"):
            read_registration(tmp_path / "registration.json")


def test_pulled_outputs_alone_give_the_whole_lineage(make: Callable[..., Path]) -> None:
    there = make("there", "a")
    registration = register(there)
    store = known_store(connect(there))
    here = make("here", "c")
    pulled(there, here)
    facts = lineage(NAME)
    assert (facts["version"], facts["registered_here"], facts["aliases"]) == ("1", False, [])
    assert facts["store"] == known_store(connect(here)) != store
    assert facts["tags"]["sha256.graph"] == "a"
    assert facts["run"]["run_id"] == registration.run_id
    split = json.loads((there / "artifacts/runs/split.json").read_text())
    assert facts["stages"]["split"] == {
        "run_id": split["run_id"],
        "status": "FINISHED",
        "started": 1e9,
        "store": store,
        "server": "",
        "git_commit": "",
        "git_dirty": "false",
        "params": {"seeds": "[1]"},
        "metrics": {"rows": 4.0},
        "inputs": {"manifest": "m"},
    }
    assert list(facts["stages"]) == ["split", "register"]
    with pytest.raises(TrackingError, match="no registered model"):
        lineage(NAME, "1")  # asked for by number: of this store

    # Files that do not belong together are not believed: the export is newer than the registration.
    card = json.loads((here / CARD).read_text())
    (here / CARD).write_text(json.dumps({**card, "sha256": {"graph": "d"}}))
    with pytest.raises(TrackingError, match="no registered model"):
        lineage(NAME)


def test_a_pulled_model_that_is_registered_here_keeps_the_facts_of_runs_made_there(make: Callable[..., Path]) -> None:
    there = make("there", "a")
    register(there)
    store = known_store(connect(there))
    here = make("here", "c")
    pulled(there, here)
    register(here)
    shutil.rmtree(here / "artifacts")  # the workspace goes on to something else; the version's lineage stays whole
    facts = lineage(NAME, "1")
    assert facts["registered_here"]
    assert facts["stages"]["split"]["store"] == store
    assert (facts["stages"]["split"]["params"], facts["stages"]["split"]["metrics"]) == (
        {"seeds": "[1]"},
        {"rows": 4.0},
    )
    assert "store" not in facts["stages"]["register"]
    assert facts["stages"]["register"]["inputs"] == {"model": "a"}


def test_a_version_that_is_here_and_no_champion_yet_is_not_taken_for_one_from_elsewhere(
    make: Callable[..., Path],
) -> None:
    register(make("there", "a"))
    with pytest.raises(TrackingError, match="no version or alias 'champion'"):
        lineage(NAME)
