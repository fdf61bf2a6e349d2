"""The whole export in one call: graph, card and parity of the deploy fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.export.card import make_card
from pipeline.export.deploy import deploy
from pipeline.export.graph import export_onnx
from pipeline.export.parity import compare
from pipeline.hashing import file_sha256
from pipeline.images import centre_square, open_rgb
from pipeline.splits import known_by_fit
from pipeline.tables import DEPLOY

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.backbone.protocol import Backbone
    from pipeline.features import Features
    from pipeline.fits import Fits


def publish(
    backbone: Backbone,
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    manifest: pd.DataFrame,
    *,
    root: Path,
    max_pixels: int,
    class_names: Mapping[str, str],
    method: str,
    accept: float,
    tolerance: float,
    parity_images: int,
    provider: str,
    metrics: Mapping[str, Any],
    hashes: Mapping[str, str],
    out: Path,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the graph of the deploy fit and compare it with torch on real images, known and unknown.

    Sixteen arguments: what five stages made, and the keys of `export` by name.

    Args:
        backbone: on the CPU, the one that made the features.
        features, fits, splits, manifest: as the earlier stages wrote them.
        root, max_pixels: of the images for the comparison.
        class_names: class to its name in prompts, where they differ.
        method: the method that is deployed.
        accept: share of validation images that the threshold accepts, in (0, 1).
        tolerance: largest difference allowed.
        parity_images: how many images are compared.
        provider: cpu or cuda, where ONNX Runtime runs.
        metrics: of the evaluation.
        hashes: of the inputs of the fit.
        out: the .onnx file to write.
    Returns:
        The card and the parity result; the caller decides on the latter.
    Raises:
        DataError: the deploy fit is missing, or an image cannot be read.
        DeviceError: ONNX Runtime has no such provider.
    """
    import numpy as np

    model, row, calibration = deploy(backbone.image_tower, features, fits, splits, method=method, accept=accept)
    size, mean, std = backbone.preprocessing
    opset = export_onnx(model, size, out, {"threshold": repr(calibration.threshold)})
    # Ordered by content, so that the sample mixes domains and classes and is the same on every machine.
    sample = manifest.sort_values("sha256")["path"].head(parity_images)
    images = np.stack([centre_square(open_rgb(root / p, max_pixels=max_pixels), size) for p in sample])
    parity = compare(model, out, images, tolerance=tolerance, provider=provider)
    card = make_card(
        classes=features.meta["classes"],
        class_names=class_names,
        prompts=[] if row["kind"] == "coop" else features.meta["prompts"],
        model=backbone.name,
        method=method,
        settings=json.loads(row["settings"]),
        threshold=calibration.threshold,
        accept=accept,
        accepted=calibration.accepted,
        image_size=size,
        mean=mean,
        std=std,
        hashes={**hashes, "weights": backbone.weights_sha256, "graph": file_sha256(out)},
        metrics=metrics.get(method, {}),
        parity=parity,
        opset=opset,
        targets=sorted(set(splits["target"]) - {DEPLOY}),
        known_classes=max((len(names) for (target, _), names in known_by_fit(splits).items() if target != DEPLOY)),
    )
    return card, parity
