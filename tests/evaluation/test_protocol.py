"""Rows of equal ids were made of the same prompts, score and images, and of no others."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.protocol import protocols
from pipeline.params import Evaluate
from pipeline.params.choice import Export
from pipeline.report.wording import images_in_words
from pipeline.tables import TEST_ID, TEST_SHIFTED, TEST_UNKNOWN

PROMPTS = {"prompts": ["a {}."]}


@pytest.fixture
def tested() -> pd.DataFrame:
    rows = [
        (method, target, seed, f"{target}/{name}/{number}", role, open_set)
        for method in "mn"
        for target in "ab"
        for seed in (1, 2)
        for name, role, open_set, count in (
            ("cat", TEST_SHIFTED, "", 3),
            ("dog", TEST_SHIFTED, "", 2),
            ("yak", TEST_UNKNOWN, "classes", 4),
            ("tex", TEST_UNKNOWN, "dtd", 1),
        )
        for number in range(count)
    ]
    rows += [("m", "a", 1, "b/cat/9", TEST_ID, "")]
    table = pd.DataFrame(rows, columns=["method", "target", "seed", "path", "role", "open_set"])
    return table.assign(label=(table["role"] != TEST_UNKNOWN).astype(int) - 1, predicted=0, confidence=0.5, score=0.0)


@pytest.fixture
def images(tested: pd.DataFrame) -> pd.DataFrame:
    paths = sorted(set(tested["path"]))
    return pd.DataFrame(
        {"path": paths, "class": [p.split("/")[1] for p in paths], "sha256": [f"{hash_of(p)}" for p in paths]}
    )


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def ids_of(tested, images, **change):
    return protocols(tested, images, **({"score": "mcm", "prompts": PROMPTS} | change))[0]


def test_a_protocol_counts_what_was_tested(tested: pd.DataFrame, images: pd.DataFrame) -> None:
    ids, found = protocols(tested, images, score="mcm", prompts=PROMPTS)
    of_a = found[ids["m", "a"]]
    assert of_a["known"]["role"] == TEST_SHIFTED
    assert (of_a["known"]["images"], of_a["known"]["classes"]) == (5, 2)
    assert {name: part["images"] for name, part in of_a["unknown"].items()} == {"classes": 4, "dtd": 1}
    assert of_a["unknown_share"] == 0.5
    names = [f"a/cat/{n}" for n in range(3)] + [f"a/dog/{n}" for n in range(2)]
    assert of_a["known"]["images_sha256"] == hash_of("".join(sorted(map(hash_of, names))))
    assert found[ids["m", "mean"]] == {"mean_of": sorted([ids["m", "a"], ids["m", "b"]])}
    words = "5 known images of 2 classes, 4 of unknown classes, 1 of dtd (50.0 % unknown)"
    assert images_in_words(of_a) == words


def test_equal_images_have_equal_ids_whatever_they_are_called(tested: pd.DataFrame, images: pd.DataFrame) -> None:
    ids = ids_of(tested, images)
    assert ids["m", "a"] == ids["n", "a"] != ids["m", "b"]
    assert ids["m", "mean"] == ids["n", "mean"]
    renamed = tested.assign(path="x" + tested["path"], target="z" + tested["target"])
    moved = ids_of(renamed, images.assign(path="x" + images["path"]))
    assert moved["m", "za"] == ids["m", "a"]


def test_anything_that_differs_changes_the_id(tested: pd.DataFrame, images: pd.DataFrame) -> None:
    before = ids_of(tested, images)["m", "a"]
    assert ids_of(tested, images, score="energy")["m", "a"] != before
    assert ids_of(tested, images, prompts={"prompts": ["{}"]})["m", "a"] != before
    assert ids_of(tested[tested["path"] != "a/tex/0"], images)["m", "a"] != before
    other = images.assign(sha256=images["sha256"].mask(images["path"] == "a/cat/1", "0" * 64))
    assert ids_of(tested, other)["m", "a"] != before


def test_a_lost_seed_counts_only_where_other_images_were_tested(tested: pd.DataFrame, images: pd.DataFrame) -> None:
    lost = tested[(tested["method"] != "n") | (tested["seed"] == 1)]
    assert ids_of(lost, images)["n", "a"] == ids_of(lost, images)["m", "a"]
    fewer = lost[(lost["method"] != "n") | (lost["path"] != "a/cat/0")]
    assert ids_of(fewer, images)["n", "a"] != ids_of(fewer, images)["m", "a"]


def test_every_row_of_an_evaluation_has_an_id_that_is_described(world, manifest) -> None:
    settings = Evaluate(bootstrap=100, bins=20, hessian_probes=0)
    result = evaluate(*world, manifest, settings, export=Export(method="tuned", score="energy"))
    ids = {numbers["protocol"] for targets in result.metrics.values() for numbers in targets.values()}
    assert ids == set(result.protocols)
    assert {key for found in result.protocols.values() for key in found} == {
        "prompts_sha256", "score", "conventions", "known", "unknown", "unknown_share", "mean_of",
    }  # fmt: skip
