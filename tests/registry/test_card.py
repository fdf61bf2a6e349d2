"""The model card says what was tracked and no more; Hugging Face's own library reads its metadata."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from pipeline.cli.card import print_card
from pipeline.registry.card.facts import Data, Tracked, card_facts
from pipeline.registry.card.markdown import render
from pipeline.registry.card.tracked import version_facts
from pipeline.registry.register import register_model
from pipeline.registry.versions import open_registry
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE
from pipeline.tracking.identity import Identity, write_identity
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

ROOT = Path(__file__).parents[2]
METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}


def row(accuracy: float, auroc: float, protocol: str, **more: Any) -> dict[str, Any]:
    return {
        "accuracy": accuracy, "accuracy_low": accuracy - 0.05, "accuracy_high": accuracy + 0.05,
        "accuracy_spread": 0.011, "auroc": auroc, "fpr95_id_positive": 1 - auroc, "ece": 0.123, "n": 1200,
        "n_unknown": 300, "seeds": 3, "protocol": protocol, **more,
    }  # fmt: skip


def open_set(fpr: float) -> dict[str, Any]:
    return {"fpr95_id_positive": fpr, "auroc": 1 - fpr, "n_unknown": 150}


CARD: dict[str, Any] = {
    "format": 1, "task": "image classification with an unknown class", "classes": ["one", "a|b <script>"],
    "class_names": {"one": "the one", "a|b <script>": "a|b <script>"}, "backbone": "ViT-B-32", "method": "croft",
    "score": {"name": "energy", "paper": {"authors": "Liu", "venue": "NeurIPS", "year": 2020, "url": "https://x.org/1"}},
    "threshold": 3.25, "threshold_kind": "conformal", "accept": 0.95, "accepted": 0.9508, "calibration_images": 224,
    "image_size": 224, "transform": "centre square", "domains": ["chalk", "ink"], "targets": ["chalk", "ink"],
    "sha256": {"weights": "a" * 64, "graph": "b" * 64},
    "metrics": {
        "chalk": row(0.9, 0.8, "aaaaaaaaaaaa"),
        "ink": row(0.7, 0.85, "bbbbbbbbbbbb"),
        "mean": row(0.8, 0.825, "cccccccccccc", open_sets={"near": open_set(0.4), "far": open_set(0.1)}),
    },
}  # fmt: skip
TRACKED = Tracked(
    "croft", "7", "2026-11-28T10:00:00+00:00", "f" * 32, {"git_commit": "c" * 40, "git_dirty": "true"},
    Data("data/pets", "d" * 32 + ".dir", 3, "e" * 64, 4321, ("owl",)),
    {"passed": False, "champion": "6", "reasons": [["gain", False, "accuracy 0.8: too low"]]},
)  # fmt: skip


def test_hugging_face_reads_the_metadata() -> None:
    read = ModelCard(render(card_facts(CARD, TRACKED)), ignore_metadata_errors=False).data
    assert (read.pipeline_tag, read.library_name, read.license) == ("image-classification", "onnx", None)
    found = {(one.dataset_config, one.metric_type): one for one in read.eval_results}
    assert {config for config, _ in found} == {"chalk", "ink", "mean over held-out domains"}
    accuracy = found["ink", "accuracy"]
    assert (accuracy.metric_value, accuracy.dataset_name) == (0.7, "pets")
    assert accuracy.dataset_revision == "d" * 32 + ".dir"
    assert found["chalk", "roc_auc"].metric_value == 0.8


def test_every_sentence_has_its_value() -> None:
    text = render(card_facts(CARD, TRACKED)).partition("\n---\n")[2]
    for sentence in (
        "# croft 7",
        "Names in prompts: one is the one.",
        "Backbone: ViT-B-32, frozen; SHA-256 of its weights `" + "a" * 64,
        "its open-set score, energy ([Liu, NeurIPS 2020](https://x.org/1)), is above 3.25.",
        "accept 95 % of 224 validation images by their scores' conformal quantile; 95.1 % of them are accepted.",
        "pets, version 3 (`data/pets`, 4,321 images).",
        "Classes that no fit has seen: owl.",
        "Trained on 2 domains: chalk, ink.",
        "| ink | 70.0 (65.0 to 75.0) ± 1.1 | 85.0 | 15.0 | 1,200 | 300 | 3 | `bbbbbbbbbbbb` |",
        "The accuracy is lowest on ink: 70.0 (65.0 to 75.0) ± 1.1 %.",
        "Unknown images are told apart worst on chalk: AUROC 80.0 %.",
        "Of the open sets, near is rejected least: 40.0 % of its images are accepted",
        "The gate against champion 6 refused this version.",
        "FAIL: accuracy 0.8: too low.",
        "Commit `" + "c" * 40 + "`, with changes that were not committed.",
        'mlflow.pyfunc.load_model("models:/croft/7")',
    ):
        assert sentence in text
    assert "licen" not in text.lower()


@pytest.mark.parametrize("card", [{"format": 1, "classes": ["a", "b"]}, {"format": 1, "classes": ["a"], "metrics": {}}])
def test_what_was_not_tracked_is_not_said(card: dict[str, Any]) -> None:
    facts = card_facts(card, Tracked("croft", "abc"))
    text = render(facts)
    assert "None" not in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["What it is"]
    assert "model-index" not in text
    json.dumps(facts, allow_nan=False)


def test_one_domain_and_one_open_set_have_no_worst() -> None:
    metrics = {"ink": row(0.7, 0.85, "b"), "mean": row(0.7, 0.85, "c", open_sets={"far": open_set(0.1)})}
    text = render(card_facts({**CARD, "metrics": metrics}, TRACKED))
    assert "lowest on" not in text
    assert "worst on" not in text
    assert "one open set only were measured (far): 10.0 %" in text


def test_names_are_shown_as_they_are() -> None:
    body = render(card_facts(CARD, TRACKED)).partition("\n---\n")[2]
    page = MarkdownIt("commonmark").enable("table").render(body)
    assert "a|b &lt;script&gt;" in page
    assert "<script>" not in page
    assert {line.count("<td>") for line in page.split("<tr>")[2:5]} == {8}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    write_tiny_model(tmp_path / "export")
    return tmp_path


def register(root: Path) -> str:
    """A version whose run keeps what the stage `register` keeps: identities, DVC's record, the list of versions."""
    runs, md5 = root / "runs", "1" * 32 + ".dir"
    ingest = Identity(
        run_id="2" * 32, stage="ingest", params={"data.root": "data/pets", "data.unknown": '["owl"]'},
        metrics={"images": 12.0}, inputs={"images": "3" * 64},
    )  # fmt: skip
    write_identity(ingest, runs / "ingest.json")
    lock = {"stages": {"ingest": {"deps": [{"path": "data/pets", "md5": md5}]}}}
    (root / "dvc.lock").write_text(json.dumps(lock))  # JSON is YAML
    versions = [{"number": 1, "md5": "0" * 32 + ".dir"}, {"number": 2, "md5": md5}]
    (root / "pets.versions.yaml").write_text(json.dumps({"versions": versions}))
    with stage_run("register", started=time.time(), params={}, out=None) as run:
        run.log(artifacts=[runs, root / "dvc.lock", root / "pets.versions.yaml"])
        tags = {"stage.ingest.run_id": "2" * 32}
        return register_model(root / "export", name="croft", run_id=run.run_id, tags=tags, metrics=METRICS)


def test_a_version_keeps_its_card_and_the_command_adds_the_verdict(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    version = register(project)
    client, _ = open_registry(project)
    run = client.get_model_version("croft", version).run_id
    kept = Path(client.download_artifacts(run, "model_card.json", str(project)))
    facts = json.loads(kept.read_text())
    assert (facts["model"], facts["version"], facts["gate"]) == ("croft", "1", None)
    assert facts["data"] == {
        "name": "pets", "root": "data/pets", "version": 2, "md5": "1" * 32 + ".dir", "manifest_sha256": "m" * 64,
        "images": 12, "unknown_classes": ["owl"],
    }  # fmt: skip
    readme = Path(client.download_artifacts(run, "README.md", str(project))).read_text()
    assert readme == render(facts)
    verdict = {"passed": True, "champion": "", "reasons": [["parity", True, "the graph agrees"]]}
    client.set_model_version_tag("croft", version, "gate.verdict", json.dumps(verdict))
    assert version_facts("croft", "challenger")["gate"] == verdict
    print_card("challenger", as_json=True, output=None)
    assert json.loads(capsys.readouterr().out) == {**facts, "gate": verdict}
    print_card("1", as_json=False, output=project / "card.md")
    assert "- The gate passed this version.\n- pass: the graph agrees.\n" in (project / "card.md").read_text()
    print_card("export", as_json=True, output=None)
    assert json.loads(capsys.readouterr().out)["registered"] is None
