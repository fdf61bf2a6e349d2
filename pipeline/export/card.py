"""The model card as data: what the graph does not hold, and where everything in it came from."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.detection.scores.catalogue import SCORES
from pipeline.detection.scores.spaces import option_of
from pipeline.errors import DataError
from pipeline.export.deploy import Calibration, Upstream
from pipeline.splits import domain_of, known_by_fit
from pipeline.tables import DEPLOY, TRAIN

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.backbone.protocol import Backbone

FORMAT = 1
PAPER = {
    "title": "CRoFT: Robust Fine-Tuning with Concurrent Optimization for OOD Generalization and Open-Set OOD Detection",
    "authors": "Zhu et al.",
    "venue": "ICML",
    "year": 2024,
    "pages": "PMLR 235:62618-62637",
    "url": "https://arxiv.org/abs/2405.16417",
}
HASHES = ("weights", "manifest", "splits", "features", "fits", "graph")
"""Inputs that a card lists by sha256; each is optional, others are refused."""


def make_card(
    backbone: Backbone,
    made: Upstream,
    fit: pd.Series[Any],
    calibration: Calibration,
    *,
    class_names: Mapping[str, str],
    graph: str,
    opset: int,
    parity: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that a person or a server needs to know about the exported graph.

    Args:
        backbone: the frozen CLIP.
        made: what the earlier stages made.
        fit: the row of FITS that is deployed; where its prompts are learned (kind coop), the card lists none.
        calibration: its threshold.
        class_names: class to its name in prompts, where they differ.
        graph: sha256 of the exported file.
        opset: of the graph.
        parity: as `parity.compare` returns.
    Returns:
        A mapping that JSON can hold. Its metrics are a summary of the protocol runs, which estimate the performance on
        an unseen domain; its mean and std are inside the graph too, and here for the reader.
    Raises:
        DataError: there are fewer than two classes, a class is listed twice, or a hash has an unknown name.
    """
    classes, (size, mean, std) = made.features.meta["classes"], backbone.preprocessing
    hashes = {**made.hashes, "weights": backbone.weights_sha256, "graph": graph}
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise DataError(f"card: expected two or more different classes, found {list(classes)}")
    unknown = sorted(set(hashes) - set(HASHES))
    if unknown:
        raise DataError(f"card: unknown hash {unknown[0]!r}; expected some of {', '.join(HASHES)}")
    known = [names for (target, _), names in known_by_fit(made.splits).items() if target != DEPLOY]
    return {
        "format": FORMAT,
        "task": "image classification with an unknown class",
        "classes": list(classes),
        "class_names": {name: class_names.get(name, name) for name in classes},
        "prompts": [] if fit["kind"] == "coop" else list(made.features.meta["prompts"]),
        "backbone": backbone.name,
        "method": fit["method"],
        "settings": json.loads(fit["settings"]),
        "score": {
            "name": made.choice["score"],
            "direction": "larger = more open-set",
            "unknown_when": "score > threshold",
            "paper": asdict(SCORES[option_of(made.choice["score"]).score].paper),
        },
        "choice": dict(made.choice),
        "threshold": calibration.threshold,
        "threshold_kind": calibration.kind,
        "accept": calibration.accept,
        "accepted": calibration.accepted,
        "temperature": calibration.temperature,
        "calibration_images": calibration.images,
        "calibration_notes": calibration.notes,
        "image_size": size,
        "mean": list(mean),
        "std": list(std),
        "transform": "shorter side to image_size (bicubic), centre square, RGB",
        "opset": opset,
        "domains": _training_domains(made),
        "targets": sorted(set(made.splits["target"]) - {DEPLOY}),
        "known_classes": max(map(len, known)),
        "sha256": hashes,
        "metrics": dict(made.metrics.get(fit["method"], {})),
        "parity": dict(parity),
        "created_by": {
            name: importlib.metadata.version(name) for name in ("torch", "open_clip_torch", "onnx", "onnxscript")
        },
        "paper": PAPER,
    }


def _training_domains(made: Upstream) -> list[str]:
    """Domains of the images that the deploy fit trains on."""
    rows = made.splits[(made.splits["target"] == DEPLOY) & (made.splits["role"] == TRAIN)]
    domains = domain_of(made.manifest)
    return sorted({domains[path] for path in rows["path"]})
