"""docs/metrics.md lists the numbers of metrics.json: all of them, none that is not there, and which end is better."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluation.evaluate import evaluate
from pipeline.params import Evaluate
from pipeline.params.choice import Export
from pipeline.report.wording import LOWER_IS_BETTER

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| `")  # of the tables of keys
]
KEYS = {key: cells for cells in ROWS for key in re.findall(r"`([^`]+)`", cells[0])}
OF_ANY = ("spread", "low", "high")


@pytest.fixture(scope="module")
def metrics(world, manifest) -> dict[str, dict[str, dict[str, Any]]]:
    settings = Evaluate(bootstrap=100, bins=20, hessian_probes=2)
    return evaluate(*world, manifest, settings, export=Export(method="tuned", score="energy")).metrics


def plain(numbers: dict[str, Any]) -> set[str]:
    """The keys without the spread and the interval that go with them."""
    return {re.sub(rf"_({'|'.join(OF_ANY)})$", "", key) for key in numbers} - {"open_sets", "protocol"}


def test_the_page_lists_every_key_once_and_no_other(metrics) -> None:
    written = {key for targets in metrics.values() for numbers in targets.values() for key in plain(numbers)}
    assert {key for key in KEYS if not key.startswith("*_")} == written
    assert {key for key in KEYS if key.startswith("*_")} == {f"*_{name}" for name in OF_ANY}
    assert len(KEYS) == sum(len(re.findall("`", cells[0])) // 2 for cells in ROWS)


def test_what_is_said_to_exist_by_open_set_does_and_nothing_else(metrics) -> None:
    section = PAGE[PAGE.index("## Open-set detection") : PAGE.index("## Confidence")]
    listed = set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))
    assert plain(metrics["tuned"]["oil"]["open_sets"]["classes"]) == (listed - {"auroc_id"}) | {"n_unknown"}


def test_what_is_said_to_be_of_the_mean_alone_is(metrics) -> None:
    alone = plain(metrics["tuned"]["mean"]) - plain(metrics["tuned"]["oil"])
    assert alone == {key for key, cells in KEYS.items() if cells[1].startswith("only in `mean`")}


def test_ranges_and_directions_are_those_of_the_code(metrics) -> None:
    for key in plain(metrics["tuned"]["mean"]):
        _, _, limits, better, _ = KEYS[key]
        if better:
            assert (better == "low") == (key in LOWER_IS_BETTER | {"hessian_distance"}), key
        if limits.startswith("0 to 1"):
            for targets in metrics.values():
                assert all(0.0 <= numbers[key] <= 1.0 for numbers in targets.values() if key in numbers), key
