"""From a split table to fits: what is for testing plays no part, and every epoch is on record from the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from train import changed, train

from pipeline.features import Features
from pipeline.fits import Fits
from pipeline.methods.settings import all_options
from pipeline.params import load_params
from pipeline.tables import DEPLOY, SPLITS, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TRAIN, VALIDATION
from pipeline.training.assemble import collect, plan_runs

WIDTH, CLASSES, DOMAINS, EPOCHS = 12, 3, ("ink", "oil", "web"), 3
PARAMS = Path(__file__).parents[2] / "params.yaml"


def world() -> tuple[Features, pd.DataFrame]:
    """3 domains x 4 classes x 9 images, of which the last class is unknown; one seed, and the deploy fit."""
    source = np.random.default_rng(11)
    centres = source.normal(size=(CLASSES + 1, WIDTH))
    places = [(d, c, i) for d in DOMAINS for c in range(CLASSES + 1) for i in range(9)]
    paths = [f"{d}/{c}/{i}.png" for d, c, i in places]
    clean = np.stack([centres[c] + 1.5 * source.normal(size=WIDTH) for _, c, _ in places]).astype(np.float32)
    features = Features(
        index=pd.DataFrame({"path": paths, "view_row": range(len(paths))}),
        clean=clean,
        views=np.stack([clean, clean + 0.1], axis=1),
        text=(centres[:CLASSES] + source.normal(size=(CLASSES, WIDTH))).astype(np.float32),
        meta={"classes": ["a", "b", "c"], "names": ["a", "b", "c"], "logit_scale": 20.0},
    )
    rows = []
    for target in (*DOMAINS, DEPLOY):
        for (domain, label, image), path in zip(places, paths, strict=True):
            role = TRAIN if image < 6 else VALIDATION if image < 8 else TEST_ID
            if domain == target:
                role = TEST_SHIFTED if label < CLASSES else TEST_UNKNOWN
            if label < CLASSES or domain == target:
                own = {"class": "abcd"[label], "label": label if label < CLASSES else -1}
                rows.append({"target": target, "seed": 1, "path": path, "role": role, **own})
    splits = pd.DataFrame(rows)
    for name, kind in SPLITS.columns.items():
        if name not in splits:
            splits[name] = "" if kind == "str" else 0
    return features, splits[list(SPLITS.columns)].astype(dict(SPLITS.columns))


def fitted(features: Features, splits: pd.DataFrame) -> Fits:
    """Every shipped method that needs nothing but features, for every held-out domain and the deploy fit."""
    finetune = load_params(PARAMS).finetune
    short = {"epochs": EPOCHS, "batch_size": 8}
    methods = {
        name: changed(settings, **{key: value for key, value in short.items() if key in type(settings).model_fields})
        for name, settings in all_options(finetune).items()
        if settings.kind != "coop"  # type: ignore[attr-defined]
    }
    data: dict[str, Any] = {"views": features.views, "clean": features.clean, "text": features.text}
    # In float64 a run's numbers do not depend on the others, so that they can be compared exactly.
    data |= {"logit_scale": 20.0, "dtype": "float64"}
    return collect(train(plan_runs(splits, features, methods), **data))


@pytest.fixture(scope="module")
def before() -> Fits:
    return fitted(*world())


def test_test_images_and_labels_change_nothing(before: Fits) -> None:
    features, splits = world()
    unseen = ~splits["role"].isin([TRAIN, VALIDATION])
    # Every label of a test row is another class, a third of the rows are gone, and ...
    splits = splits.assign(label=splits["label"].where(~unseen, (splits["label"] + 2) % CLASSES))
    splits = splits[~unseen | (splits.index % 3 > 0)]
    # ... images that no split of a held-out domain uses for training or validation look like nothing on earth.
    for target in (*DOMAINS, DEPLOY):
        own = splits[splits["target"] == target]
        used = features.clean_rows(own.loc[own["role"].isin([TRAIN, VALIDATION]), "path"])
        strange = np.setdiff1d(np.arange(len(features.clean)), used)
        other = Features(features.index, features.clean.copy(), features.views.copy(), features.text, features.meta)
        other.clean[strange], other.views[strange] = 1e3, -1e3
        after = fitted(other, own)
        rows = before.table[before.table["target"] == target].reset_index(drop=True)
        assert len(rows) == len(after.table) > 5
        assert after.table.drop(columns="fit").equals(rows.drop(columns="fit"))
        for old, new in zip(rows["fit"], after.table["fit"], strict=True):
            one, two = before.heads[old], after.heads[new]
            assert one.scalars == two.scalars
            for name, array in one.arrays.items():
                assert np.array_equal(two.arrays[name], array)


def test_images_that_are_seen_do_matter(before: Fits) -> None:
    features, splits = world()
    validation = features.clean_rows(splits.loc[splits["role"] == VALIDATION, "path"])
    features.clean[validation] = features.clean[validation][::-1].copy()
    assert not fitted(features, splits).table.equals(before.table)


def test_every_epoch_is_on_record_from_the_first(before: Fits) -> None:
    trained = before.table[before.table["epoch"] >= 0]
    kept = before.history.groupby(["method", "target", "seed"])["epoch"].apply(list)
    assert len(kept) == len(trained) > 10
    assert all(epochs == list(range(EPOCHS)) for epochs in kept)
    assert before.history["validation_accuracy"].between(0, 1).all()
    assert before.history["loss"].notna().all()
