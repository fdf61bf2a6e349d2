"""The gate on real versions in a real store: same images, the pinned reference, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from loose_gate import LOOSE
from mlflow.tracking import MlflowClient
from small_worlds import manifest_of, world  # noqa: F401

from pipeline.decision.fit import Limits
from pipeline.decision.kept import keep, write_kept
from pipeline.detection.scores.spaces import option_of
from pipeline.errors import TrackingError
from pipeline.features import write_features
from pipeline.hashing import tree_sha256
from pipeline.params import Promote
from pipeline.registry.assess import gate_number
from pipeline.registry.promotion import promote
from pipeline.registry.register import register_model
from pipeline.registry.standing import is_judged, settle
from pipeline.registry.versions import CHALLENGER, CHAMPION, aliased
from pipeline.tables import MANIFEST, SPLITS, write_table
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

NAME = "croft"
STRICT = Promote(resamples=100, latency=None)


@pytest.fixture
def root(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_tiny_model: Callable[..., Path],
    world,  # noqa: F811
) -> Path:
    """A workspace with the world's evaluation data, and an export that names their hashes."""
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    features, _, splits = world
    folder = tmp_path / "artifacts"
    write_features(features, folder / "features")
    write_table(splits, folder / "splits.parquet", SPLITS)
    write_table(manifest_of(features), folder / "manifest.parquet", MANIFEST)
    card = write_tiny_model(tmp_path / "export") / "card.json"
    inputs = {"features": "features", "splits": "splits.parquet", "manifest": "manifest.parquet"}
    hashes = {name: tree_sha256(folder / file) for name, file in inputs.items()}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sha256": hashes}))
    return tmp_path


@pytest.fixture
def register(root: Path, world) -> Callable[..., str]:  # noqa: F811
    """Registers a version with the protocol fits of a method, or without any."""
    features, fits, splits = world

    def make(method: str, **backbone: str) -> str:
        metrics = {"zero-shot": {"mean": {"accuracy": 0.5}}, "croft": {"mean": {"accuracy": 0.6}}}
        with stage_run("register", started=time.time(), params={}, out=root / "artifacts/runs/register.json") as run:
            tags = {"stage.register.run_id": run.run_id}
            version = register_model(root / "export", name=NAME, run_id=run.run_id, tags=tags, metrics=metrics)
            if method:
                option, manifest = option_of("energy"), manifest_of(features)
                kept = keep(features, fits, splits, manifest, method=method, option=option, limits=Limits())
                kept = dataclasses.replace(kept, backbone={**kept.backbone, **backbone})
                write_kept(kept, root / method / "protocol")
                connect(root).log_artifacts(run.run_id, str(root / method / "protocol"), "protocol")
        return version

    return make


def files(client: MlflowClient, version: str) -> list[str]:
    run = client.get_model_version(NAME, version).run_id
    return [item.path for item in client.list_artifacts(run, "gate")]


def test_versions_are_compared_on_the_same_images(root: Path, register: Callable[..., str], tmp_path: Path) -> None:
    client = connect(root)
    register("plain")
    assert promote(NAME, limits=STRICT).promoted

    register("plain")  # an equal one: no difference, certainly
    dry = promote(NAME, limits=STRICT, dry_run=True)
    assert (dry.passed, dry.promoted) == (False, False)
    assert "gate.verdict" not in client.get_model_version(NAME, "2").tags
    assert files(client, "2") == []

    slow = promote(NAME, limits=STRICT.model_copy(update={"latency": 0.001}), dry_run=True)
    assert [check.name for check in slow.reasons if not check.passed] == ["superiority", "latency"]
    quick = promote(NAME, limits=STRICT.model_copy(update={"latency": 1000.0}), dry_run=True)
    (sentence,) = [check.sentence for check in quick.reasons if check.name == "latency"]
    assert sentence.startswith("one image on one core takes ")
    assert sentence.endswith("at most 1000")

    held = promote(NAME, limits=STRICT)
    assert [check.name for check in held.reasons if not check.passed] == ["superiority"]
    assert "54 known and 18 unknown images that neither version has seen" in held.reasons[2].sentence
    assert files(client, "2") == ["gate/against-1.json", "gate/against-1.md"]
    run = client.get_model_version(NAME, "2").run_id
    table = Path(client.download_artifacts(run, "gate/against-1.md", str(tmp_path))).read_text()
    assert "| accuracy_worst |" in table
    content = json.loads(Path(client.download_artifacts(run, "gate/against-1.json", str(tmp_path))).read_text())
    assert {row["status"] for row in content["comparisons"][0]["rows"]} == {"no worse"}
    assert json.loads(client.get_model_version(NAME, "2").tags["gate.verdict"])["gate"] == 1
    assert aliased(client, NAME, CHAMPION) == "1"

    register("tuned")
    assert gate_number(client, NAME, "3", "1") == 2  # and so a smaller error rate
    assert gate_number(client, NAME, "2", "1") == 1  # the same images again are no new chance
    promoted = promote(NAME, limits=LOOSE)
    assert promoted.promoted
    assert "gate 2 against champion 1" in promoted.reasons[-1].sentence

    # Against champion 3, and against the first champion too.
    register("plain")
    again = promote(NAME, limits=STRICT)
    assert [part["against"] for part in again.table["comparisons"]] == ["champion", "reference"]
    assert again.table["comparisons"][1]["version"] == "1"
    pinned = promote(NAME, limits=STRICT.model_copy(update={"reference": "2"}), dry_run=True)
    assert pinned.table["comparisons"][1]["version"] == "2"
    with pytest.raises(TrackingError, match="no version or alias '9'"):
        promote(NAME, limits=STRICT.model_copy(update={"reference": "9"}))


def test_what_cannot_be_compared_is_refused_with_what_to_do(root: Path, register: Callable[..., str]) -> None:
    register("")
    assert promote(NAME, limits=LOOSE).promoted
    register("plain")
    old = promote(NAME, limits=LOOSE)
    assert not old.passed
    assert any("version 1 was registered without its protocol fits" in check.sentence for check in old.reasons)
    assert promote(NAME, limits=LOOSE, force=True, reason="a test").promoted

    register("plain", weights_sha256="1" * 64)
    limits = LOOSE.model_copy(update={"reference": "2"})
    other = promote(NAME, limits=limits)
    assert any("another backbone or image transform (weights_sha256 differ)" in c.sentence for c in other.reasons)

    register("plain")
    (root / "artifacts" / "splits.parquet").unlink()
    gone = promote(NAME, limits=limits)
    assert any(
        "artifacts/ does not hold the images that version 4 was evaluated on" in c.sentence for c in gone.reasons
    )


def test_a_version_is_judged_without_being_moved(root: Path, register: Callable[..., str]) -> None:
    first = register("plain")
    held = settle(NAME, first, limits=LOOSE, root=root, promote_first=False)
    assert (held.champion, held.verdict, held.aliases) == ("", None, [CHALLENGER])
    assert not is_judged(held, root=root)
    verdict = promote(NAME, first, limits=LOOSE, root=root, move=False)
    assert (verdict.passed, verdict.promoted) == (True, False)
    assert aliased(connect(root), NAME, CHAMPION) == ""
    assert is_judged(held, root=root)
    assert settle(NAME, first, limits=LOOSE, root=root).champion == first
    second = settle(NAME, register("plain"), limits=LOOSE, root=root)
    assert not is_judged(second, root=root)
    assert promote(NAME, second.version, limits=LOOSE, root=root, move=False).champion == first
    assert is_judged(second, root=root)  # against this champion
    assert aliased(connect(root), NAME, CHAMPION) == first
