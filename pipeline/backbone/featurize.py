"""Encode every image once: clean views of all, augmented views of the ones that are trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbone.encode import encode, plan
from pipeline.backbone.prompts import class_prototypes
from pipeline.backbone.store import EmbeddingStore
from pipeline.backbone.views import CLEAN, MIN_AREA, Views
from pipeline.errors import DataError
from pipeline.features import Features

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.backbone.protocol import Backbone


def featurize(
    manifest: pd.DataFrame,
    *,
    root: Path,
    train_paths: Sequence[str],
    names: Sequence[str],
    classes: Sequence[str],
    prompts: Sequence[str],
    backbone: Backbone,
    views: int,
    view_seed: int,
    batch_size: int,
    workers: int,
    store_path: Path,
    flip: bool = True,
    min_area: float = MIN_AREA,
) -> tuple[Features, dict[str, float]]:
    """Features of every image and class; only what the store lacks is decoded and encoded.

    Args:
        manifest: MANIFEST table, N rows.
        root: folder of its images.
        train_paths: the images that some fit trains on; T different ones.
        names: how prompts call the C known classes.
        classes: their folder names, sorted.
        prompts: templates with the placeholder {}.
        backbone: the frozen CLIP.
        views: V, augmented views per training image.
        view_seed: decides crops and flips.
        batch_size: images per forward pass.
        workers: threads that decode; beside a GPU, processes.
        store_path: folder of the embedding store.
        flip: whether views may be mirrored.
        min_area: smallest share of an image's area that a view shows.
    Returns:
        The features, and counts: encoded, from_store (views of images), seconds, images_per_second (encoded ones), and
        wait_share, the share of the time that the encoder waited for images.
    Raises:
        DataError: an image cannot be read or is not the one that was ingested.
        ParamsError: a prompt is too long.
    """
    import numpy as np
    import pandas as pd

    start = time.monotonic()
    text = class_prototypes(backbone, names, prompts)  # first: a prompt that is too long must not cost an hour
    manifest = manifest.sort_values("path", ignore_index=True)
    trained = sorted(set(train_paths))
    view_rows = {path: row for row, path in enumerate(trained)}
    missing = set(trained) - set(manifest["path"])
    if missing:
        raise DataError(f"{min(missing)}: is trained on but is not in the manifest; run `dvc repro`")

    recipe = Views(backbone.preprocessing.size, view_seed, flip, min_area)
    hashes = dict(zip(manifest["path"], manifest["sha256"], strict=True))
    with EmbeddingStore(store_path, backbone.fingerprint, width=backbone.width) as store:
        works = plan(manifest, {path: range(views) for path in trained}, store, recipe)
        encoded = sum(len(work.items) for work in works)
        waited = encode(works, root, backbone, store, recipe, batch_size=batch_size, workers=workers)
        stored, clean = store.get_many([recipe.key(content, CLEAN) for content in manifest["sha256"]])
        stored_views, augmented = store.get_many(
            [recipe.key(hashes[path], view) for path in trained for view in range(views)]
        )
    if not (stored.all() and stored_views.all()):
        raise DataError(f"{store_path}: the embedding store lost rows during the run; remove the folder and run again")

    seconds = time.monotonic() - start
    features = Features(
        index=pd.DataFrame(
            {"path": manifest["path"], "view_row": [view_rows.get(path, -1) for path in manifest["path"]]}
        ),
        clean=clean,
        views=augmented.reshape(len(trained), views, backbone.width),
        text=text,
        meta={
            "model": backbone.name,
            "weights_sha256": backbone.weights_sha256,
            "classes": list(classes),
            "names": list(names),
            "prompts": list(prompts),
            "logit_scale": backbone.logit_scale,
            "image_size": backbone.preprocessing.size,
            "precision": backbone.precision,
            "mean": list(backbone.preprocessing.mean),
            "std": list(backbone.preprocessing.std),
            "views": views,
            "view_seed": view_seed,
            "flip": flip,
            "min_area": min_area,
        },
    )
    counts = {
        "encoded": encoded,
        "from_store": len(stored) + len(stored_views) - encoded,
        "seconds": seconds,
        "images_per_second": encoded / seconds,
        "wait_share": waited / seconds,
    }
    return features, {
        key: float(np.round(value, 4)) if isinstance(value, float) else value for key, value in counts.items()
    }
