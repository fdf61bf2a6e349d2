"""The tables of results in README.md hold what was measured: every number is in a file that a command wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.wording import with_spread

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_after(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Headings and rows (by their first cell) of the first table after a text."""
    lines = README[README.index(text) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    headings, _, *body = rows
    return headings[1:], {row[0]: row[1:] for row in body}


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def test_the_digits_are_those_of_metrics_json() -> None:
    metrics = read("digits-metrics.json")
    headings, rows = table_after("**Built-in digits, small CLIP.**")
    keys = {"accuracy": "accuracy", "unknown: AUROC": "auroc", "FPR95, ID positive": "fpr95_id_positive"}
    assert len(rows) >= 5
    for name, cells in rows.items():
        numbers = metrics[name.split()[0]]["mean"]
        for heading, cell in zip(headings, cells, strict=True):
            key = next(key for start, key in keys.items() if heading.startswith(start))
            assert cell == with_spread(numbers, key), (name, heading)


def test_the_chosen_pairs_are_those_that_were_chosen() -> None:
    choice = read("digits-choice.json")
    for text, method, score in (
        ("**Built-in digits, small CLIP.**", choice["method"], choice["score"]),
        ("**CLIP ViT-B/32 features of real images.**", *read("clip-choice.json")["imagenet"]["chosen"]),
    ):
        _, rows = table_after(text)
        (marked,) = (name for name in rows if "← chosen" in name)
        assert marked.split()[0] == method
        assert re.search(rf"chosen: {method} with\s+{re.escape(score)};", README)


def test_the_real_features_are_what_choose_score_wrote() -> None:
    pairs = {(row["method"], row["option"]): row for row in read("clip-choice.json")["imagenet"]["pairs"]}
    score = read("clip-choice.json")["imagenet"]["chosen"][1]
    headings, rows = table_after("**CLIP ViT-B/32 features of real images.**")
    keys = {"accuracy, Caltech": "accuracy", "accuracy, ImageNet": "shifted", "near": "near", "DTD": "dtd"}
    assert len(rows) >= 5
    for name, cells in rows.items():
        row = pairs[name.split()[0], "energy" if "with energy" in name else score]
        for heading, cell in zip(headings, cells, strict=True):
            key = next(key for start, key in keys.items() if heading.startswith(start))
            assert cell == f"{100 * row[key]:.1f}", (name, heading)
    with_energy = [f"{100 * pairs[method, 'energy']['near']:.0f}" for method in ("adapters-edr", "croft")]
    assert f"near AUROCs of {' and '.join(with_energy)}:" in README


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_gives_the_numbers_that_are_kept(tmp_path: Path) -> None:
    from clone import Clone, copy_project

    copy_project(tmp_path / "project")
    project = Clone(tmp_path / "project", None)
    project.run("croft", "run", seconds=1500)
    kept, found = read("digits-metrics.json"), project.json("artifacts/evaluation/metrics.json")
    for method, targets in kept.items():
        for metric in ("accuracy", "auroc", "fpr95_id_positive"):
            # Other machines round otherwise, and an image or two then changes sides; CLIP-Adapter most of all.
            near = pytest.approx(targets["mean"][metric], abs=0.02 if method == "clip-adapter" else 0.006)
            assert found[method]["mean"][metric] == near, (method, metric)
