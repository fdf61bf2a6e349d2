"""Registering, promoting, rolling back and tracing real versions in a real SQLite store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from promoters import passing

from pipeline.errors import DataError, GateError, TrackingError
from pipeline.params import Promote
from pipeline.registry.lineage import lineage
from pipeline.registry.promotion import promote, rollback
from pipeline.registry.register import ensure_challenger, register_model
from pipeline.registry.registration import Registration
from pipeline.registry.standing import settle, settle_registration
from pipeline.registry.versions import CHALLENGER, CHAMPION, aliased
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

NAME = "croft"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_tiny_model(tmp_path / "export")
    return tmp_path


def register(root: Path, accuracy: float, auroc: float = 0.7) -> tuple[str, str]:
    """A version with these numbers; returns it and its run."""
    metrics = {
        "zero-shot": {"mean": {"accuracy": 0.5, "auroc": 0.5}},
        "croft": {"mean": {"accuracy": accuracy, "auroc": auroc}},
    }
    out = root / "artifacts" / "runs" / "register.json"
    with stage_run("register", started=time.time(), params={}, out=out) as run:
        tags = {"stage.register.run_id": run.run_id, "stage.split.run_id": "0" * 32, "git_commit": "abc"}
        return register_model(root / "export", name=NAME, run_id=run.run_id, tags=tags, metrics=metrics), run.run_id


def test_the_life_of_three_versions(root: Path) -> None:
    client = connect(root)

    # Version 1: a challenger, then the first champion.
    first, run_id = register(root, 0.80)
    assert first == "1"
    assert aliased(client, NAME, CHALLENGER) == "1"
    verdict = promote(NAME, limits=Promote())
    assert (verdict.passed, verdict.promoted, verdict.forced) == (True, True, False)
    assert verdict.reasons[-1].sentence == "first version: no champion to compare with"
    assert aliased(client, NAME, CHAMPION) == "1"
    assert json.loads(client.get_model_version(NAME, "1").tags["gate.verdict"])["passed"] is True
    with pytest.raises(GateError, match="no earlier champion"):
        rollback(NAME)

    # Again: nothing changes, and it says so.
    again = promote(NAME, limits=Promote())
    assert again.passed
    assert not again.promoted
    assert "already the champion" in again.reasons[0].sentence

    # Version 2 has no protocol fits to compare: refused, the verdict stays with it, the champion stays.
    assert register(root, 0.75)[0] == "2"
    refused = promote(NAME, limits=Promote())
    assert not refused.passed
    assert [check.name for check in refused.reasons if not check.passed] == ["comparable"]
    assert aliased(client, NAME, CHAMPION) == "1"
    assert client.get_model_version(NAME, "2").tags["gate.passed"] == "false"

    # Forced, but only with a reason.
    with pytest.raises(GateError, match="needs a reason"):
        promote(NAME, force=True, limits=Promote())
    forced = promote(NAME, force=True, reason="a test", limits=Promote())
    assert (forced.passed, forced.forced, forced.reason) == (True, True, "a test")
    assert aliased(client, NAME, CHAMPION) == "2"

    # Version 3 passes; named by number.
    assert register(root, 0.90)[0] == "3"
    better = promote(NAME, "3", limits=Promote(), gate=passing)
    assert better.passed
    assert better.champion == "2"

    # Back twice: 3 to 2, 2 to 1, and then no further.
    assert rollback(NAME) == ("3", "2")
    assert rollback(NAME) == ("2", "1")
    with pytest.raises(GateError, match="no earlier champion"):
        rollback(NAME)

    traced = lineage(NAME, CHAMPION)
    assert traced["version"] == "1"
    assert traced["aliases"] == [CHAMPION]
    assert traced["run"]["run_id"] == run_id
    assert traced["run"]["status"] == "FINISHED"
    assert traced["stages"]["register"]["run_id"] == run_id
    assert traced["stages"]["split"] == {"run_id": "0" * 32, "status": "not in this store"}
    assert traced["tags"]["git_commit"] == "abc"
    assert traced["tags"]["sha256.manifest"] == "m" * 64
    assert traced["tags"]["method"] == "croft"
    moves = [(move["action"], move["before"], move["after"], move["forced"]) for move in traced["journal"]]
    assert moves == [
        ("promote", "", "1", False),
        ("promote", "1", "2", True),
        ("promote", "2", "3", False),
        ("rollback", "3", "2", False),
        ("rollback", "2", "1", False),
    ]

    # A champion that was deleted is passed over: 3 was promoted over 1 by hand, then 2 over it.
    promote(NAME, "3", limits=Promote(), gate=passing)
    promote(NAME, "2", force=True, reason="a test", limits=Promote())
    client.delete_model_version(NAME, "3")
    assert rollback(NAME) == ("2", "1")

    assert ensure_challenger(NAME, "2") is True
    assert ensure_challenger(NAME, "2") is False
    assert aliased(client, NAME, CHALLENGER) == "2"
    assert not (root / "mlflow.db").exists()  # MLflow's global default was never touched
    assert not (root / "mlruns").exists()


def test_what_does_not_exist_is_named(root: Path) -> None:
    with pytest.raises(TrackingError, match="no registered model 'croft'"):
        promote(NAME, limits=Promote())
    register(root, 0.8)
    with pytest.raises(TrackingError, match="no version or alias '7'; known: challenger, 1"):
        promote(NAME, "7", limits=Promote())
    with pytest.raises(TrackingError, match="no version or alias 'champion'"):
        lineage(NAME)
    with pytest.raises(GateError, match="no champion"):
        rollback(NAME)
    with pytest.raises(TrackingError, match="no version or alias '8'"):
        ensure_challenger(NAME, "8")


def test_the_first_version_goes_through_the_gate_and_later_ones_wait(root: Path) -> None:
    register(root, 0.8)
    first = settle(NAME, "1", limits=Promote())
    assert first.verdict is not None
    assert (first.verdict.promoted, first.aliases, first.champion) == (True, [CHALLENGER, CHAMPION], "1")
    register(root, 0.9)
    second = settle(NAME, "2", limits=Promote())
    assert (second.verdict, second.aliases, second.champion, second.restored) == (None, [CHALLENGER], "1", False)
    again = settle(NAME, "1", limits=Promote())
    assert (again.verdict, again.aliases, again.restored) == (None, [CHALLENGER, CHAMPION], True)


def test_a_first_version_that_the_gate_refuses_is_no_champion(root: Path) -> None:
    register(root, 0.4)  # zero-shot has 0.5
    refused = settle(NAME, "1", limits=Promote())
    assert refused.verdict is not None
    assert (refused.verdict.passed, refused.aliases, refused.champion) == (False, [CHALLENGER], "")


def test_a_version_of_another_store_is_no_error_of_the_run(root: Path) -> None:
    registration = Registration(NAME, "7", "0" * 32)
    standing = settle_registration(registration, root / "export" / "card.json", limits=Promote())
    assert standing.trouble == "this store has no croft version 7"
    assert (standing.elsewhere, standing.aliases) == (True, [])


def test_a_version_from_elsewhere_cannot_be_judged(root: Path) -> None:
    client = connect(root)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, str(root / "export"))
    with pytest.raises(GateError, match=r"version 1 has no tag gate\.facts"):
        promote(NAME, "1", limits=Promote())


def test_a_registration_that_breaks_leaves_no_version(root: Path) -> None:
    (root / "export" / "model.onnx").unlink()
    with pytest.raises(DataError, match=r"model\.onnx: no such file"):
        register(root, 0.8)
    client = connect(root)
    assert list(client.search_model_versions(f"name = '{NAME}'")) == []
    experiment = client.get_experiment_by_name("croft").experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["FAILED"]
    assert not (root / "artifacts" / "runs" / "register.json").exists()
