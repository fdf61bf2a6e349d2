from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.backbone.featurize import featurize
from pipeline.backbone.views import augmented_view, view_generator
from pipeline.errors import DataError, ParamsError
from pipeline.features import Features, read_features, write_features
from pipeline.images import centre_square
from pipeline.params import BackboneParams, Featurize

Pictures = tuple[Path, pd.DataFrame]


def run(pictures: Pictures, backbone: Any, store: Path, **changed: Any) -> tuple[Features, dict[str, float]]:
    root, manifest = pictures
    train_paths = changed.pop("train_paths", list(manifest["path"][[7, 2, 4, 2]]))
    texts = BackboneParams(
        model="m",
        weights="w",
        prompts=changed.pop("prompts", ["a {}."]),
        class_names={"c": "cat", "d": "dog"},
        words=changed.pop("words", []),
    )
    settings = Featurize(**{"views": 3, "batch_size": 4, "workers": 2, **changed})
    return featurize(
        manifest, backbone, texts, settings, root=root, train_paths=train_paths, classes=["c", "d"], store_path=store
    )


def test_rows_are_the_features_of_their_views(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    features, counts = run(pictures, backbone, tmp_path / "store")
    assert list(features.index["path"]) == list(manifest["path"])
    assert features.views.shape == (3, 3, 24)
    for row, (path, content) in enumerate(zip(manifest["path"], manifest["sha256"], strict=True)):
        image = Image.open(root / path).convert("RGB")
        clean = backbone.encode_images(centre_square(image, 32)[None])[0]
        np.testing.assert_allclose(features.clean[row], clean, rtol=0, atol=1e-5)
        place = features.index["view_row"][row]
        assert (place >= 0) == (row in (2, 4, 7))
        for view in range(3 if place >= 0 else 0):
            pixels = augmented_view(image, 32, view_generator(0, view, content))
            expected = backbone.encode_images(pixels[None])[0]
            np.testing.assert_allclose(features.views[place, view], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(features.text, backbone.encode_text(["a cat.", "a dog."]))
    assert features.meta["classes"] == ["c", "d"]
    assert (counts["encoded"], counts["from_store"]) == (10 + 3 * 3, 0)
    assert 0 <= counts["wait_share"] <= 1
    write_features(features, tmp_path / "out")
    again = read_features(tmp_path / "out")
    np.testing.assert_array_equal(again.clean, features.clean)
    np.testing.assert_array_equal(again.view_rows(manifest["path"][[7]]), [2])


def test_bfloat16_is_for_images_only_and_shares_no_stored_rows(
    pictures: Pictures, backbone: Any, tmp_path: Path
) -> None:
    exact, _ = run(pictures, backbone, tmp_path / "store")
    half, counts = run(pictures, replace(backbone, precision="bfloat16"), tmp_path / "store")
    assert (counts["encoded"], counts["from_store"]) == (10 + 3 * 3, 0)
    assert half.clean.dtype == half.views.dtype == np.float32
    np.testing.assert_array_equal(half.text, exact.text)
    # bfloat16 keeps 8 bits: a rounding of 2^-9 in each product, and some of them one after another
    error = np.linalg.norm(half.clean - exact.clean, axis=1) / np.linalg.norm(exact.clean, axis=1)
    assert 2**-12 < error.max() < 2**-4
    assert (exact.meta["precision"], half.meta["precision"]) == ("float32", "bfloat16")


def test_only_what_is_new_is_encoded(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    store = tmp_path / "store"
    first, _ = run((root, manifest[:8]), backbone, store)
    same, counts = run((root, manifest[:8]), backbone, store)
    assert (counts["encoded"], counts["from_store"]) == (0, 8 + 9)
    np.testing.assert_array_equal(same.clean, first.clean)
    np.testing.assert_array_equal(same.views, first.views)
    grown, counts = run(pictures, backbone, store)
    assert (counts["encoded"], counts["from_store"]) == (2, 8 + 9)
    np.testing.assert_array_equal(grown.clean[:8], first.clean)
    # one more trained image and one more view of each: 4 views of it, 1 of the three old ones
    _, counts = run(pictures, backbone, store, views=4, train_paths=list(manifest["path"][[2, 4, 7, 9]]))
    assert counts["encoded"] == 4 + 3
    _, counts = run(pictures, backbone, store, view_seed=1)
    assert (counts["encoded"], counts["from_store"]) == (9, 10)
    for changed in ({"flip": False}, {"min_area": 0.5}):
        _, counts = run(pictures, backbone, store, **changed)
        assert (counts["encoded"], counts["from_store"]) == (9, 10)


def test_file_moved_but_not_changed_is_not_encoded_again(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    run(pictures, backbone, tmp_path / "store")
    (root / "ink").rename(root / "pen")
    moved = manifest.assign(path=manifest["path"].str.replace("ink/", "pen/"))
    _, counts = run((root, moved), backbone, tmp_path / "store")
    assert counts["encoded"] == 0


def test_order_threads_and_batches_do_not_matter(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    first, _ = run(pictures, backbone, tmp_path / "1")
    other, _ = run((root, manifest[::-1]), backbone, tmp_path / "2", workers=5)
    np.testing.assert_array_equal(other.clean, first.clean)
    np.testing.assert_array_equal(other.views, first.views)
    assert other.index.equals(first.index)
    large, _ = run(pictures, backbone, tmp_path / "3", batch_size=64)
    np.testing.assert_allclose(large.clean, first.clean, rtol=0, atol=1e-5)


def test_interrupted_run_goes_on_to_the_same_bits(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    whole, _ = run(pictures, backbone, tmp_path / "whole")
    away = root / manifest["path"][6]
    away.rename(tmp_path / "away.png")
    with pytest.raises(DataError, match=r"ink/cat/6\.png: cannot be read"):
        run(pictures, backbone, tmp_path / "store")
    (tmp_path / "away.png").rename(away)
    resumed, counts = run(pictures, backbone, tmp_path / "store")
    # images 0-5 make 6 clean views and 3 of each of the images 2 and 4: 12 rows, three whole batches of 4
    assert counts["from_store"] == 12
    np.testing.assert_array_equal(resumed.clean, whole.clean)
    np.testing.assert_array_equal(resumed.views, whole.views)


def test_image_that_changed_after_ingest_is_named(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    root, manifest = pictures
    (root / manifest["path"][3]).write_bytes((root / manifest["path"][2]).read_bytes())
    with pytest.raises(DataError, match=r"ink/cat/3\.png: has changed since it was ingested"):
        run(pictures, backbone, tmp_path / "store")


def test_trained_image_must_be_in_the_manifest(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: is trained on but is not in the manifest"):
        run(pictures, backbone, tmp_path / "store", train_paths=["ink/cat/gone.png"])


def test_words_for_other_things_are_encoded_as_classes_are(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    features, _ = run(pictures, backbone, tmp_path / "store", words=["tree", "dog", "tree"])
    assert features.words is not None
    np.testing.assert_array_equal(features.words, backbone.encode_text(["a tree.", "a dog."]))
    write_features(features, tmp_path / "features")
    np.testing.assert_array_equal(read_features(tmp_path / "features").words, features.words)
    without, _ = run(pictures, backbone, tmp_path / "store")
    write_features(without, tmp_path / "without")
    assert read_features(tmp_path / "without").words is None


def test_prompt_is_checked_before_any_image(pictures: Pictures, backbone: Any, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="longer than the model's context"):
        run(pictures, backbone, tmp_path / "store", prompts=["{}" + " cat" * 30])
    assert not (tmp_path / "store").exists()
