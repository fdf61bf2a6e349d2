"""Encode every image once: clean views of all, augmented views of the ones that are trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbone.encode import ImageEncoder, plan
from pipeline.backbone.prompts import class_prototypes
from pipeline.backbone.store import EmbeddingStore
from pipeline.backbone.views import CLEAN, Views
from pipeline.errors import DataError
from pipeline.features import Features
from pipeline.params import BackboneParams, Featurize

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.backbone.protocol import Backbone


def featurize(
    manifest: pd.DataFrame,
    backbone: Backbone,
    texts: BackboneParams,
    settings: Featurize,
    *,
    root: Path,
    train_paths: Sequence[str],
    classes: Sequence[str],
    store_path: Path,
) -> tuple[Features, dict[str, float]]:
    """Features of every image and class; only what the store lacks is decoded and encoded.

    Args:
        manifest: MANIFEST table, N rows.
        backbone: the frozen CLIP.
        texts: prompts, how they call the classes, and words for other things.
        settings: V views per training image and what they show, batch size and workers.
        root: folder of the images.
        train_paths: the images that some fit trains on; T different ones.
        classes: folder names of the C known classes, sorted.
        store_path: folder of the embedding store.
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
    names, views = [texts.class_names.get(name, name) for name in classes], settings.views
    text = class_prototypes(backbone, names, texts.prompts)  # first: a prompt that is too long must not cost an hour
    words = class_prototypes(backbone, list(dict.fromkeys(texts.words)), texts.prompts) if texts.words else None
    manifest = manifest.sort_values("path", ignore_index=True)
    trained = sorted(set(train_paths))
    view_rows = {path: row for row, path in enumerate(trained)}
    missing = set(trained) - set(manifest["path"])
    if missing:
        raise DataError(f"{min(missing)}: is trained on but is not in the manifest; run `dvc repro`")

    recipe = Views(backbone.preprocessing.size, settings.view_seed, settings.flip, settings.min_area)
    encoder = ImageEncoder(backbone, root, recipe, settings.batch_size, settings.workers)
    hashes = dict(zip(manifest["path"], manifest["sha256"], strict=True))
    with EmbeddingStore(store_path, backbone.fingerprint, width=backbone.width) as store:
        works = plan(manifest, {path: range(views) for path in trained}, store, recipe)
        encoded = sum(len(work.items) for work in works)
        waited = encoder.fill(store, works)
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
            "names": names,
            "prompts": list(texts.prompts),
            "logit_scale": backbone.logit_scale,
            "image_size": backbone.preprocessing.size,
            "precision": backbone.precision,
            "mean": list(backbone.preprocessing.mean),
            "std": list(backbone.preprocessing.std),
            **settings.model_dump(include={"views", "view_seed", "flip", "min_area"}),
        },
        words=words,
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
