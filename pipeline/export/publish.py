"""The whole export in one call: graph, card and parity of the deploy fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.decision.fit import Limits
from pipeline.detection.scores.spaces import option_of
from pipeline.export.card import make_card
from pipeline.export.decisions import breaches, cells, reference
from pipeline.export.deploy import Upstream, deploy
from pipeline.export.graph import OPSET, export_onnx
from pipeline.export.metadata import sort_metadata
from pipeline.export.names import EXTRAS, HEAD_FILE
from pipeline.export.offer import offer
from pipeline.export.parity import compare
from pipeline.export.variants import FP32
from pipeline.hashing import file_sha256
from pipeline.images import centre_square, open_rgb
from pipeline.params import Params
from pipeline.splits import domain_of
from pipeline.tables import DEPLOY, TEST_UNKNOWN, TEST_UNKNOWN_ID, VALIDATION, atomic_path

if TYPE_CHECKING:
    from pipeline.backbone.protocol import Backbone
    from pipeline.export.graph import DeployedModel
    from pipeline.fits import Head


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
    extras = out.parent / EXTRAS
    shutil.rmtree(extras, ignore_errors=True)  # of an earlier export
    extras.mkdir(parents=True)
    option = option_of(made.choice["score"])
    model, fit, calibration = deploy(
        backbone.image_tower, made.features, made.fits, made.splits, method=made.choice["method"], option=option,
        limits=Limits(export.accept, export.threshold),
        domains=domain_of(made.manifest),
    )  # fmt: skip
    size = backbone.preprocessing.size
    facts = {"score": option.name, "threshold": repr(calibration.threshold)}
    names = params.backbone.class_names
    draft = make_card(backbone, made, fit, calibration, class_names=names, graph="", opset=OPSET, parity={})
    inside = {key: value for key, value in draft.items() if key != "parity"}
    inside["sha256"] = {name: digest for name, digest in draft["sha256"].items() if name != "graph"}
    opset = export_onnx(
        model, size, out, {**facts, "card": json.dumps(inside, sort_keys=True)}, embedding=export.embedding,
        external=f"{EXTRAS}/{out.name}.data",
    )  # fmt: skip
    write_statistics(model, statistics, facts)
    write_head(made.fits.heads[int(fit["fit"])], extras / HEAD_FILE)
    # Ordered by content, so that the sample mixes domains and classes and is the same on every machine.
    sample = made.manifest.sort_values("sha256")["path"].head(export.parity_images)
    images = np.stack(
        [centre_square(open_rgb(Path(data.root) / path, max_pixels=data.max_pixels), size) for path in sample]
    )
    parity = compare(model, out, images, tolerance=export.tolerance, provider=provider)
    files, labels = validation_files(made, Path(data.root), export.parity_images)
    truth = reference(model, files, labels, size=size, max_pixels=data.max_pixels)
    rows = cells(FP32, out, truth, provider=provider, near=export.tolerance)
    problems = list(breaches(rows, export.limits(FP32, provider)))
    offered, more = offer(export, out, extras, truth, provider=provider)
    parity |= {
        "passed": parity["passed"] and not problems,
        "breaches": problems,
        "validation_images": sum(label >= 0 for label in labels),
        "unknown_images": sum(label < 0 for label in labels),
        "variants": offered,
        "cells": [*rows, *more],
    }
    summary = {key: value for key, value in parity.items() if key != "cells"}
    card = make_card(
        backbone, made, fit, calibration, class_names=names, graph=file_sha256(out), opset=opset, parity=summary
    )
    card["variants"] = {name: entry for name, entry in offered.items() if entry["offered"]}
    return card, parity


def validation_files(made: Upstream, root: Path, count: int) -> tuple[list[bytes], list[int]]:
    """Content and label of the deploy fit's validation images, and of unknown images (-1), at most `count` of each.

    The unknown ones are test images: they serve to report what happens to AUROC, never to decide. Both are ordered by
    content, so that the sample mixes domains and classes and is the same on every machine.
    """
    splits, order = made.splits, made.manifest.set_index("path")["sha256"]
    known = splits[(splits["target"] == DEPLOY) & (splits["role"] == VALIDATION)].drop_duplicates("path")
    unknown = splits[splits["role"].isin((TEST_UNKNOWN, TEST_UNKNOWN_ID))].drop_duplicates("path").assign(label=-1)
    files, labels = [], []
    for table in (known, unknown):
        table = table.assign(order=table["path"].map(order)).sort_values(["order", "path"]).head(count)
        files += [(root / path).read_bytes() for path in table["path"]]
        labels += [int(label) for label in table["label"]]
    return files, labels


def write_head(head: Head, path: Path) -> None:
    """The arrays of a fit; its kind and scalars are the file's metadata."""
    import numpy as np
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in head.arrays.items()}
    facts = {"kind": head.kind, **{name: repr(float(value)) for name, value in head.scalars.items()}}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata=facts)
        sort_metadata(temporary)
        temporary.chmod(0o644)


def write_statistics(model: DeployedModel, path: Path, facts: Mapping[str, str]) -> None:
    """Arrays by name, none for a score that learns nothing; `facts` are the file's metadata."""
    from safetensors.torch import save_file

    arrays = {name: model.get_buffer(f"score_{name}").contiguous() for name in model.learnt}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata=dict(facts))
        sort_metadata(temporary)
        temporary.chmod(0o644)  # safetensors replaces the file it is given
