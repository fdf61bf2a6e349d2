"""From fits to the table of agreement, and what it says about the theory."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.croft.adapters import Weights
from pipeline.croft.hessian import agreement, domain_grams, random_probes
from pipeline.croft.options import Ratios
from pipeline.evaluation.hessian import (
    COLUMNS,
    PAIRS,
    hessian_agreement,
    hessian_metrics,
    hessian_pairs,
    hessian_points,
    penalty_effects,
)
from pipeline.features import Features
from pipeline.fits import Fits, Head
from pipeline.report.agreement import hessian_pairs_figure, verdict
from pipeline.tables import DEPLOY, TEST_ID, TEST_SHIFTED, TRAIN, VALIDATION

WIDTH, SCALE = 4, 9.0
DOMAINS = ("ink", "oil", "web")
SETTINGS = {"ratio_image": 0.4, "ratio_text": 0.5, "train": True}


@pytest.fixture(scope="module")
def world() -> tuple[Features, Fits, pd.DataFrame, pd.DataFrame]:
    """Three domains of 8 images, 2 classes; fits for target oil: adapters, zero-shot, a probe, one that diverged."""
    source = np.random.default_rng(3)
    paths = [f"{domain}/{image}.png" for domain in DOMAINS for image in range(8)]
    features = Features(
        index=pd.DataFrame({"path": paths, "view_row": -1}),
        clean=source.normal(size=(24, WIDTH)).astype(np.float32),
        views=np.zeros((0, 1, WIDTH), np.float32),
        text=source.normal(size=(2, WIDTH)).astype(np.float32),
        meta={"logit_scale": SCALE, "classes": ["bee", "cat"]},
    )
    manifest = pd.DataFrame({"path": paths, "domain": [path.split("/")[0] for path in paths]})

    def role(path: str) -> str:
        domain, image = path.removesuffix(".png").split("/")
        return TEST_SHIFTED if domain == "oil" else (TRAIN, VALIDATION, TEST_ID, TEST_ID)[int(image) % 4]

    splits = pd.DataFrame(
        {
            "target": "oil",
            "seed": 1,
            "path": paths,
            "role": [role(p) for p in paths],
            "label": [i % 2 for i in range(24)],
            "class": [("bee", "cat")[i % 2] for i in range(24)],
        }
    )
    weights = [(np.eye(WIDTH) + 0.2 * source.normal(size=(2, WIDTH, WIDTH))).astype(np.float32) for _ in range(3)]
    scalars = {"ratio_image": 0.4, "ratio_text": 0.5, "scale": SCALE}
    adapters = [Head("adapters", {"image_weight": w[0], "text_weight": w[1]}, scalars) for w in weights]
    heads = [adapters[0], Head("zero-shot", {}, {"scale": SCALE}), Head("linear-probe", {}, {}), *adapters[1:]]
    table = pd.DataFrame(
        {
            "fit": range(5),
            "method": ["tuned", "plain", "probe", "lost", "tuned"],
            "kind": [head.kind for head in heads],
            "target": ["oil"] * 4 + [DEPLOY],
            "seed": 1,
            "diverged": [False, False, False, True, False],
            "settings": json.dumps(SETTINGS),
        }
    )
    return features, Fits(table, dict(enumerate(heads)), pd.DataFrame()), splits, manifest


def test_rows_are_the_adapters_of_held_out_domains(world) -> None:
    found = hessian_agreement(hessian_pairs(*world, probes=2))
    assert list(found.columns) == list(COLUMNS)
    assert list(found["method"]) == ["tuned", "plain"]


def test_numbers_are_those_of_untrained_on_images_of_the_held_out_and_each_source_domain(world) -> None:
    features, fits, splits, manifest = world
    pairs = hessian_pairs(features, fits, splits, manifest, probes=3)
    row = hessian_agreement(pairs).iloc[0]
    # Source domains have 6 images outside training; of the 8 held-out ones, sorted by label, places ⌊8 k / 6⌋ count.
    chosen = []
    for domain in ("oil", "ink", "web"):
        places = [8 * DOMAINS.index(domain) + i for i in range(8) if domain == "oil" or i % 4]
        places.sort(key=lambda i: i % 2)
        chosen.append([places[k] for k in (0, 1, 2, 4, 5, 6)] if domain == "oil" else places)
    text = torch.from_numpy(features.text)
    arrays = fits.heads[0].arrays
    grams = domain_grams(
        torch.from_numpy(features.clean)[torch.tensor(chosen)], torch.tensor(chosen) % 2, text,
        Weights(torch.from_numpy(arrays["image_weight"]), torch.from_numpy(arrays["text_weight"]), None),
        random_probes(3, WIDTH, seed=0, like=text), ratios=Ratios(0.4, 0.5), scale=SCALE,
    )  # fmt: skip
    cosine, distance = agreement(grams.double().mean(0))
    assert row["hessian_cosine"] == pytest.approx(float(cosine[0, 1:].mean()), rel=1e-4)
    assert row["hessian_distance"] == pytest.approx(float(distance[0, 1:].mean()), rel=1e-4)
    assert row["hessian_cosine_sources"] == pytest.approx(float(cosine[1, 2]), rel=1e-4)
    own = pairs[pairs["method"] == "tuned"].set_index(["domain", "other"])["cosine"]
    expected = {("oil", "ink"): cosine[0, 1], ("oil", "web"): cosine[0, 2], ("ink", "web"): cosine[1, 2]}
    assert own.to_dict() == {pair: pytest.approx(float(value), rel=1e-4) for pair, value in expected.items()}


def test_nothing_to_compare_gives_no_rows(world) -> None:
    features, fits, splits, manifest = world
    for rows in (splits["role"] == TEST_SHIFTED, splits["role"] != TEST_SHIFTED):
        pairs = hessian_pairs(features, fits, splits[rows], manifest, probes=2)
        assert pairs.empty
        assert list(hessian_agreement(pairs).columns) == list(COLUMNS)


def test_one_source_domain_has_no_agreement_among_sources() -> None:
    pairs = pd.DataFrame([("m", "oil", 1, "oil", "ink", 0.5, 1.0)], columns=list(PAIRS))
    (row,) = hessian_agreement(pairs).to_dict("records")
    assert (row["hessian_cosine"], row["hessian_distance"]) == (0.5, 1.0)
    assert np.isnan(row["hessian_cosine_sources"])


def test_plotted_points_are_means_over_seeds_of_pairs_with_the_held_out_domain() -> None:
    rows = [("oil", 1, "oil", "ink", 0.2), ("oil", 2, "oil", "ink", 0.4), ("oil", 1, "ink", "web", 0.9)]
    pairs = pd.DataFrame([("m", *row, 1.0) for row in rows], columns=list(PAIRS))
    (point,) = hessian_points(pairs).to_dict("records")
    assert point == {"method": "m", "target": "oil", "source": "ink", "cosine": pytest.approx(0.3), "distance": 1.0}


def test_figure_of_pairs_names_every_pair_and_both_methods() -> None:
    rows = [
        (m, "oil", 1, "oil", other, 0.1, 1.0)
        for m in ("edr", "bare")
        for other in ("ink", "web")
        if (m, other) != ("bare", "web")
    ]
    effect = {"with": "edr", "without": "bare"}
    drawn = hessian_pairs_figure(hessian_points(pd.DataFrame(rows, columns=list(PAIRS))), [effect], ["bare", "edr"])
    words = "".join(ElementTree.fromstring(drawn).itertext())  # noqa: S314 - our own text
    assert all(word in words for word in ("oil with ink", "oil with web", "filled: edr", "hollow: bare"))


def cosines(**of: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [(m, "oil", seed, value, 1.0, float("nan")) for m, values in of.items() for seed, value in enumerate(values)],
        columns=list(COLUMNS),
    )


def test_metrics_are_means_over_seeds_and_none_where_nothing_was_measured() -> None:
    found = hessian_metrics(cosines(croft=[0.2, 0.4]))
    expected = {"hessian_cosine": pytest.approx(0.3), "hessian_distance": 1.0, "hessian_cosine_sources": None}
    assert found == {"croft": {"oil": expected, "mean": expected}}


def options(**changes: Any) -> dict[str, Any]:
    return {"train": True, "lambda_1": 15.0, "lambda_2": 1.0, "generator": True} | changes


def test_a_partner_that_differs_in_the_penalty_alone_is_preferred() -> None:
    settings = {
        "croft": options(),
        "generator": options(lambda_2=0.0),
        "plain": options(lambda_2=0.0, generator=False),
        "zero": options(train=False, lambda_2=0.0),
    }
    table = cosines(croft=[0.5, 0.6], generator=[0.4, 0.4], plain=[0.9, 0.9], zero=[0.9, 0.9])
    (effect,) = penalty_effects(table, settings, bootstrap=200)
    assert (effect["with"], effect["without"], effect["also"]) == ("croft", "generator", [])
    assert effect["gain"] == pytest.approx(0.15)
    assert (effect["low"], effect["high"]) == (pytest.approx(0.1), pytest.approx(0.2))
    assert (effect["better"], effect["fits"]) == (2, 2)


def test_without_one_the_other_differences_are_named() -> None:
    settings = {"croft": options(), "plain": options(lambda_2=0.0, generator=False)}
    (effect,) = penalty_effects(cosines(croft=[0.1], plain=[0.2]), settings, bootstrap=100)
    assert effect["also"] == ["generator"]
    assert "The two methods also differ in: generator." in verdict(effect)


@pytest.mark.parametrize(
    ("croft", "says"),
    [
        ([0.6, 0.7], "agree more with the penalty, as the theory predicts"),
        ([0.1, 0.2], "agree less with the penalty, against the theory"),
        ([0.2, 0.9], "no clear difference"),
    ],
)
def test_the_sentence_follows_the_interval(croft: list[float], says: str) -> None:
    settings = {"croft": options(), "generator": options(lambda_2=0.0)}
    (sentence,) = map(verdict, penalty_effects(cosines(croft=croft, generator=[0.5, 0.5]), settings, bootstrap=500))
    assert says in sentence
