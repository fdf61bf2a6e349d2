"""The ablation of the penalty compares choices at one strength; tiny data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.penalty_options import CHOICES, PLAIN, STRENGTHS, ablate, markdown, sizes
from pipeline.features import Features, write_features
from pipeline.params import load_params, parse_params
from pipeline.tables import SPLITS, TRAIN, VALIDATION, write_table

ROOT = Path(__file__).parents[2]
BATCH, WIDTH = 8, 12


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two held-out domains, 3 classes, 24 images of which 16 train."""
    folder = tmp_path_factory.mktemp("artifacts")
    source, labels = np.random.default_rng(2), np.arange(24) % 3
    centres = source.normal(size=(3, WIDTH))
    images = (centres[labels] + source.normal(size=(24, WIDTH))).astype(np.float32)
    paths = [f"{place:02d}.png" for place in range(24)]
    write_features(
        Features(
            index=pd.DataFrame({"path": paths, "view_row": range(24)}),
            clean=images,
            views=images[:, None],
            text=(centres + source.normal(size=(3, WIDTH))).astype(np.float32),
            meta={"classes": ["a", "b", "c"], "names": ["a", "b", "c"], "logit_scale": 10.0},
        ),
        folder / "features",
    )
    splits = pd.DataFrame(
        [
            {"target": target, "seed": 1, "path": path, "role": role, "label": k % 3, "class": "abc"[k % 3]}
            for target in ("ink", "oil")
            for k, path in enumerate(paths)
            for role in [TRAIN if k < 16 else VALIDATION]
        ]
    )
    for name, kind in SPLITS.columns.items():
        if name not in splits:
            splits[name] = "" if kind == "str" else 0
    write_table(splits.astype(dict(SPLITS.columns)), folder / "splits.parquet", SPLITS)
    return folder


def test_every_choice_is_tried_at_the_same_strengths(artifacts: Path) -> None:
    content = load_params(ROOT / "params.yaml").model_dump(mode="json", by_alias=True)
    content["finetune"] |= {"epochs": 2, "batch_size": BATCH}
    params = parse_params(content)
    size = sizes(params, "croft", CHOICES, artifacts, "cpu")
    # Mini-batches of 8 and 12 x 12 weights: the sum is 8² times the mean, the mean over entries 1/12² of their sum.
    assert size["penalty_batch: sum"] == pytest.approx(BATCH**2 * size["the preset"], rel=1e-4)
    assert size["penalty_entries: mean"] == pytest.approx(size["the preset"] / WIDTH**2, rel=1e-4)
    table = ablate(params, "croft", CHOICES, artifacts, "cpu")
    assert len(table) == 1 + len(CHOICES) * len(STRENGTHS)
    tried = table[table["choice"] != PLAIN]
    strengths = tried["lambda_2"] * tried["choice"].map(size) / size["the preset"]
    np.testing.assert_allclose(strengths, tried["strength"], rtol=1e-3)
    assert tried["accuracy"].between(0, 1).all()
    page = markdown(table)
    assert all(f"| {choice} |" in page for choice in (PLAIN, *CHOICES))
