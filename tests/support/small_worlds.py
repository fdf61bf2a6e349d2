"""Small worlds for the evaluation's tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from heads import adapters_head

from pipeline.features import Features
from pipeline.fits import Fits
from pipeline.tables import (
    DEPLOY,
    FITS,
    HISTORY,
    MANIFEST,
    SCORES,
    SPLITS,
    TEST_ID,
    TEST_SHIFTED,
    TEST_UNKNOWN,
    TEST_UNKNOWN_ID,
    TRAIN,
    VALIDATION,
)

CLASSES = ("bee", "cat", "dog")  # and one unknown class, yak
DOMAINS = ("ink", "oil", "web")
Row = tuple[str, str, int, str, str, int, int, float]  # method, target, seed, path, role, label, predicted, score
# and, where it is no unknown class of the domains, the open set


@pytest.fixture
def table_of() -> Callable[[Sequence[Row]], pd.DataFrame]:
    """Build a SCORES table from short rows; the confidence is 0.5 everywhere."""

    def build(rows: Sequence[Row]) -> pd.DataFrame:
        names = ["method", "target", "seed", "path", "role", "label", "predicted", "score", "open_set"]
        filled = [(*row, "classes" if row[5] < 0 else "") if len(row) == 8 else row for row in rows]
        table = pd.DataFrame(filled, columns=names).assign(confidence=0.5)
        return table[list(SCORES.columns)].astype(dict(SCORES.columns))

    return build


@pytest.fixture(scope="session")
def world() -> tuple[Features, Fits, pd.DataFrame]:
    """Features, fits and splits of 3 domains x (3 known + 1 unknown class) x 6 images, 2 methods, 2 seeds."""
    rng = np.random.default_rng(0)
    width = 8
    centres = rng.normal(size=(len(CLASSES) + 1, width))
    places = [(d, c, i) for d in range(len(DOMAINS)) for c in range(len(CLASSES) + 1) for i in range(6)]
    paths = [f"{DOMAINS[d]}/{[*CLASSES, 'yak'][c]}/{i}.png" for d, c, i in places]
    clean = np.stack([centres[c] + 0.3 * d + 0.6 * rng.normal(size=width) for d, c, _ in places]).astype("float32")
    text = (centres[: len(CLASSES)] + 0.5 * rng.normal(size=(len(CLASSES), width))).astype("float32")
    features = Features(
        index=pd.DataFrame({"path": paths, "view_row": -1}),
        clean=clean,
        views=np.zeros((0, 1, width), "float32"),
        text=text,
        meta={"classes": list(CLASSES), "logit_scale": 20.0, "weights_sha256": "0" * 64},
    )
    splits, fits, weights, history = [], [], [], []
    for target in (*DOMAINS, DEPLOY):
        for seed in (1, 2):
            for (d, c, i), path in zip(places, paths, strict=True):
                held_out, known = DOMAINS[d] == target, c < len(CLASSES)
                if held_out:
                    role = TEST_SHIFTED if known else TEST_UNKNOWN
                else:
                    role = (TRAIN, VALIDATION, TEST_ID)[i % 3] if known else TEST_UNKNOWN_ID
                if not (target == DEPLOY and role in (TEST_ID, TEST_UNKNOWN_ID)):
                    name, open_set = path.split("/")[1], "" if known else "classes"
                    splits.append((target, seed, path, role, name, c if known else -1, open_set))
    for method in ("plain", "tuned"):
        for target in (*DOMAINS, DEPLOY):
            for seed in (1, 2):
                noise = 0.0 if method == "plain" else 0.3
                weights.append(
                    np.eye(width) + noise * np.random.default_rng([seed, len(fits)]).normal(size=(width, width))
                )
                scalars = json.dumps({"ratio_image": 0.2, "ratio_text": 0.5, "scale": 20.0})
                settings = json.dumps({"train": method == "tuned", "epochs": 3})
                fits.append((len(fits), method, "adapters", target, seed, 2, 0.9, False, scalars, settings))
                history += [
                    (method, target, seed, e, 0.002, 2.0 / (e + 1), 1.0 / (e + 1), 0.5 + 0.1 * e)
                    for e in range(3)
                    if method == "tuned"
                ]
    stacked = np.array(weights, "float32")
    table = pd.DataFrame(fits, columns=list(FITS.columns)).astype(dict(FITS.columns))
    steps = pd.DataFrame(history, columns=list(HISTORY.columns)).astype(dict(HISTORY.columns))
    all_splits = pd.DataFrame(splits, columns=list(SPLITS.columns)).astype(dict(SPLITS.columns))
    heads = {
        number: adapters_head(image, words, text, ratio_image=0.2, ratio_text=0.5, scale=20.0)
        for number, (image, words) in enumerate(zip(stacked, stacked[::-1], strict=True))
    }
    return features, Fits(table, heads, steps), all_splits


@pytest.fixture(scope="session")
def scores(world: tuple[Features, Fits, pd.DataFrame]) -> pd.DataFrame:
    """What `score_fits` makes of the world."""
    from pipeline.detection.scores.spaces import option_of
    from pipeline.evaluation.predict import score_fits

    return score_fits(*world, option_of("energy")).scores


@pytest.fixture(scope="session")
def summary(scores: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """What `summarise` makes of the scores, with intervals."""
    from pipeline.evaluation.intervals import with_intervals
    from pipeline.evaluation.resampled import resampled
    from pipeline.evaluation.summary import summarise

    return with_intervals(summarise(scores), resampled(scores, ("accuracy", "auroc"), resamples=200))


@pytest.fixture(scope="session")
def manifest(world: tuple[Features, Fits, pd.DataFrame]) -> pd.DataFrame:
    """What the evaluation reads of a MANIFEST table; there are no image files."""
    paths = world[0].index["path"]
    parts = paths.str.split("/")
    random = np.random.default_rng(0).integers(0, 2**63, len(paths))  # far apart: no near-duplicates
    hashes = [f"{number:016x}" for number in random]
    columns = {"path": paths, "domain": parts.str[0], "class": parts.str[1], "pool": "", "sha256": paths}
    return pd.DataFrame({**columns, "phash": hashes, "group": ""})


def numbers(accuracy: float | None, **more: Any) -> dict[str, Any]:
    """The numbers of a method and a held-out domain in metrics.json."""
    return {"accuracy": accuracy, "accuracy_spread": 0.01, "seeds": 3, "auroc": None, **more}


@pytest.fixture
def metrics_of() -> Callable[..., dict[str, dict[str, dict[str, Any]]]]:
    """Build a metrics.json by {method: mean accuracy}, with the same accuracy on each domain."""

    def build(
        accuracy: dict[str, float | None], domains: Sequence[str] = DOMAINS, **more: Any
    ) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            method: {target: numbers(value, **more) for target in (*domains, "mean")}
            for method, value in accuracy.items()
        }

    return build


def manifest_of(features: Features) -> pd.DataFrame:
    """MANIFEST table of a world's images; every image has a look of its own."""
    paths = list(features.index["path"])
    digests = [hashlib.sha256(path.encode()).hexdigest() for path in paths]
    frame = pd.DataFrame({"path": paths, "sha256": digests, "phash": [digest[:16] for digest in digests]}).assign(
        pool="", width=8, height=8, mode="RGB", format="PNG", bytes=1, defect="", part="", group=""
    )
    frame["domain"], frame["class"] = (frame["path"].str.split("/").str[n] for n in (0, 1))
    return frame[list(MANIFEST.columns)].astype(dict(MANIFEST.columns))
