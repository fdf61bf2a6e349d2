"""`featurize.views: 0`: real images and a real encoder inside the training, against as many cached views as epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.backbone.featurize import featurize
from pipeline.backbone.fresh import AVERAGED, FreshViews, view_source
from pipeline.backbone.load import backbone_of
from pipeline.errors import DataError
from pipeline.features import Features, read_features, write_features
from pipeline.methods.settings import options
from pipeline.params import BackboneParams, Featurize
from pipeline.training.engine import fit
from pipeline.training.runs import Inputs, Run, Trained

Pictures = tuple[Path, pd.DataFrame]
EPOCHS = 3
SHORT = {"epochs": EPOCHS, "batch_size": 3, "lr": 0.05, "select": "last"}
KINDS: list[dict[str, Any]] = [
    {"generator_steps": 1, "lambda_2": 1.0, **SHORT},
    {"generator": False, "lambda_2": 0.0, **SHORT},
    {"kind": "linear-probe", **SHORT},
    {"kind": "clip-adapter", "optimizer": "adamw", **SHORT},
]
TIPS: list[dict[str, Any]] = [
    {"kind": "tip-adapter", "select": "last"},
    {"kind": "tip-adapter-f", "optimizer": "adamw", **SHORT},
]


def features_of(pictures: Pictures, backbone: Any, store: Path, views: int, batch_size: int = 1) -> Features:
    root, manifest = pictures
    texts = BackboneParams(model="m", weights="w", prompts=("a {}.",), class_names={"c": "cat", "d": "dog"})
    settings = Featurize(views=views, view_seed=5, batch_size=batch_size, workers=2)
    features, _ = featurize(
        manifest, backbone, texts, settings, root=root, train_paths=list(manifest["path"][1:9]), classes=["c", "d"],
        store_path=store,
    )  # fmt: skip
    return features


def fresh_of(pictures: Pictures, backbone: Any, features: Features, batch_size: int = 1) -> FreshViews:
    return FreshViews(features, pictures[1], root=pictures[0], backbone=backbone, batch_size=batch_size, workers=2)


def train(views: Any, features: Features, kinds: list[dict[str, Any]]) -> list[Trained]:
    """Two runs of each kind that share some images; the third batch of the first is dropped."""
    labels = np.arange(8) % 2
    runs = [
        Run(str(number), "t", seed, options(kind), rows, labels[rows], np.array([0, 9]), np.array([0, 1]))
        for number, kind in enumerate(kinds)
        for seed, rows in ((1, np.arange(8)), (2, np.arange(2, 5)))
    ]
    return fit(runs, Inputs(views, features.clean, features.text, 20.0), device="cpu", dtype="float32")


def largest_difference(first: list[Trained], second: list[Trained]) -> float:
    """Over all arrays of all heads, relative to each array's largest number."""
    return max(
        float(np.abs(array - two.head.arrays[name]).max() / np.abs(array).max())
        for one, two in zip(first, second, strict=True)
        for name, array in one.head.arrays.items()
    )


def test_training_on_fresh_views_is_training_on_a_cached_view_per_epoch_bit_for_bit(
    pictures: Pictures, backbone: Any, tmp_path: Path
) -> None:
    # Images are encoded one by one in both, so the encoder rounds alike.
    cached = features_of(pictures, backbone, tmp_path / "1", views=EPOCHS)
    none = features_of(pictures, backbone, tmp_path / "2", views=0)
    assert none.views.shape == (8, 0, 24)
    write_features(none, tmp_path / "out")
    fresh = fresh_of(pictures, backbone, read_features(tmp_path / "out"))
    first, second = train(cached.views, cached, KINDS), train(fresh, none, KINDS)
    assert largest_difference(first, second) == 0
    assert [fit.history for fit in first] == [fit.history for fit in second]
    fewer = features_of(pictures, backbone, tmp_path / "1", views=EPOCHS - 1)
    assert largest_difference(first, train(fewer.views, fewer, KINDS)) > 1e-4  # the views do matter here


def test_other_batches_of_the_encoder_change_rounding_only(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    cached = features_of(pictures, backbone, tmp_path / "1", views=EPOCHS, batch_size=256)
    fresh = fresh_of(pictures, backbone, features_of(pictures, backbone, tmp_path / "2", views=0), batch_size=5)
    for epoch in range(EPOCHS):
        np.testing.assert_allclose(
            fresh.at_epoch(np.array([6, 0, 3]), epoch).numpy(), cached.views[[6, 0, 3], epoch], rtol=0, atol=1e-5
        )
    assert largest_difference(train(cached.views, cached, KINDS), train(fresh, cached, KINDS)) < 1e-4


def test_cache_of_tip_adapter_averages_ten_fresh_views(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    cached = features_of(pictures, backbone, tmp_path / "1", views=AVERAGED)
    fresh = fresh_of(pictures, backbone, features_of(pictures, backbone, tmp_path / "2", views=0))
    assert AVERAGED == 10
    assert largest_difference(train(cached.views, cached, TIPS), train(fresh, cached, TIPS)) == 0


def test_nothing_is_encoded_but_what_an_epoch_uses(
    pictures: Pictures, backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = features_of(pictures, backbone, tmp_path / "1", views=0)
    fresh = fresh_of(pictures, backbone, none)
    asked: list[tuple[int, int]] = []
    at_epoch = fresh.at_epoch

    def count(rows: Any, epoch: int) -> Any:
        asked.append((epoch, len(rows)))
        return at_epoch(rows, epoch)

    monkeypatch.setattr(fresh, "at_epoch", count)
    kind = {"generator": False, "lambda_2": 0.0, **SHORT}
    labels = np.arange(8) % 2
    run = Run("a", "t", 1, options(kind), np.arange(8), labels, np.array([0]), np.array([0]))
    fit([run], Inputs(fresh, none.clean, none.text, 20.0), device="cpu")
    assert asked == [(epoch, 6) for epoch in range(EPOCHS)]  # two batches of three; two images are left over


def test_a_source_is_made_only_where_there_are_no_views(
    pictures: Pictures, tiny: tuple[str, Path], backbone: Any, tmp_path: Path
) -> None:
    root, manifest = pictures
    there: dict[str, Any] = {"root": root, "batch_size": 4, "workers": 1}
    cached = features_of(pictures, backbone, tmp_path / "1", views=2)
    nothing = backbone_of(cached.meta, model="no model", weights=Path("none"), device="cpu")  # neither is touched
    assert view_source(cached, manifest, backbone=nothing, **there) is cached.views
    none = features_of(pictures, backbone, tmp_path / "1", views=0)
    own = backbone_of(none.meta, model=tiny[0], weights=tiny[1], device="cpu")
    source = view_source(none, manifest, backbone=own, **there)
    assert isinstance(source, FreshViews)
    assert (len(source), source.width) == (8, 24)


def test_an_image_that_changed_or_went_stops_training(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    none = features_of(pictures, backbone, tmp_path / "1", views=0)
    fresh = fresh_of(pictures, backbone, none)
    (root / manifest["path"][3]).write_bytes((root / manifest["path"][2]).read_bytes())
    with pytest.raises(DataError, match=r"ink/cat/3\.png: has changed since it was ingested; run `dvc repro`"):
        train(fresh, none, KINDS[:1])
    (root / manifest["path"][3]).unlink()
    with pytest.raises(DataError, match=r"ink/cat/3\.png: cannot be read"):
        train(fresh, none, KINDS[2:3])


def test_what_does_not_belong_together_is_refused(
    pictures: Pictures, tiny: tuple[str, Path], backbone: Any, tmp_path: Path
) -> None:
    root, manifest = pictures
    none = features_of(pictures, backbone, tmp_path / "1", views=0)
    with pytest.raises(DataError, match=r"ink/cat/2\.png: is trained on but is not in the manifest"):
        fresh_of((root, manifest.drop(index=2)), backbone, none)
    other = Features(none.index, none.clean, none.views, none.text, none.meta | {"weights_sha256": "0" * 64})
    with pytest.raises(DataError, match="made with other weights"):
        backbone_of(other.meta, model=tiny[0], weights=tiny[1], device="cpu")()
    with pytest.raises(DataError, match=r"no view per image \(featurize\.views: 0\)"):
        train(none.views, none, KINDS[:1])
