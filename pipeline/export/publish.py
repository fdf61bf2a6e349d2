"""The whole export in one call: graph, card and parity of the deploy fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.export.card import make_card
from pipeline.export.deploy import Upstream, deploy
from pipeline.export.graph import export_onnx
from pipeline.export.parity import compare
from pipeline.hashing import file_sha256
from pipeline.images import centre_square, open_rgb
from pipeline.params import Params

if TYPE_CHECKING:
    from pipeline.backbone.protocol import Backbone


def publish(
    backbone: Backbone, made: Upstream, params: Params, *, provider: str, out: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the graph of the deploy fit and compare it with torch on real images, known and unknown.

    Args:
        backbone: on the CPU, the one that made the features.
        made: what the earlier stages made.
        params: the sections data, backbone and export.
        provider: cpu or cuda, where ONNX Runtime runs.
        out: the .onnx file to write.
    Returns:
        The card and the parity result; the caller decides on the latter.
    Raises:
        DataError: the deploy fit is missing, or an image cannot be read.
        DeviceError: ONNX Runtime has no such provider.
    """
    import numpy as np

    export, data = params.export, params.data
    model, fit, calibration = deploy(
        backbone.image_tower, made.features, made.fits, made.splits, method=export.method, accept=export.accept
    )
    size = backbone.preprocessing.size
    opset = export_onnx(model, size, out, {"threshold": repr(calibration.threshold)})
    # Ordered by content, so that the sample mixes domains and classes and is the same on every machine.
    sample = made.manifest.sort_values("sha256")["path"].head(export.parity_images)
    images = np.stack(
        [centre_square(open_rgb(Path(data.root) / path, max_pixels=data.max_pixels), size) for path in sample]
    )
    parity = compare(model, out, images, tolerance=export.tolerance, provider=provider)
    card = make_card(
        backbone, made, fit, calibration, class_names=params.backbone.class_names, graph=file_sha256(out), opset=opset,
        parity=parity,
    )  # fmt: skip
    return card, parity
