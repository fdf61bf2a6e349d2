"""The whole export in one call: graph, card and parity of the deploy fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.decision.fit import Limits
from pipeline.detection.scores.spaces import option_of
from pipeline.export.card import make_card
from pipeline.export.deploy import Upstream, deploy
from pipeline.export.graph import export_onnx
from pipeline.export.parity import compare
from pipeline.hashing import file_sha256
from pipeline.images import centre_square, open_rgb
from pipeline.params import Params
from pipeline.splits import domain_of
from pipeline.tables import atomic_path

if TYPE_CHECKING:
    from pipeline.backbone.protocol import Backbone
    from pipeline.export.graph import DeployedModel


def publish(
    backbone: Backbone, made: Upstream, params: Params, *, provider: str, out: Path, statistics: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the graph of the deploy fit and compare it with torch on real images, known and unknown.

    Args:
        backbone: on the CPU, the one that made the features.
        made: what the earlier stages made.
        params: the sections data, backbone and export.
        provider: cpu or cuda, where ONNX Runtime runs.
        out: the .onnx file to write.
        statistics: the .safetensors file to write, with what the open-set score learnt; the graph holds it too.
    Returns:
        The card and the parity result; the caller decides on the latter.
    Raises:
        DataError: the deploy fit is missing, or an image cannot be read.
        DeviceError: ONNX Runtime has no such provider.
    """
    import numpy as np

    export, data = params.export, params.data
    option = option_of(made.choice["score"])
    model, fit, calibration = deploy(
        backbone.image_tower, made.features, made.fits, made.splits, method=made.choice["method"], option=option,
        limits=Limits(export.accept, export.threshold),
        domains=domain_of(made.manifest),
    )  # fmt: skip
    size = backbone.preprocessing.size
    facts = {"score": option.name, "threshold": repr(calibration.threshold)}
    opset = export_onnx(model, size, out, facts)
    write_statistics(model, statistics, facts)
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


def write_statistics(model: DeployedModel, path: Path, facts: Mapping[str, str]) -> None:
    """Arrays by name, none for a score that learns nothing; `facts` are the file's metadata."""
    from safetensors.torch import save_file

    arrays = {name: model.get_buffer(f"score_{name}").contiguous() for name in model.learnt}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata=dict(facts))
        temporary.chmod(0o644)  # safetensors replaces the file it is given
