"""The model card as data: what the graph does not hold, and where everything in it came from."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import DataError

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
    *,
    classes: Sequence[str],
    class_names: Mapping[str, str],
    prompts: Sequence[str],
    model: str,
    method: str,
    settings: Mapping[str, Any],
    threshold: float,
    accept: float,
    accepted: float,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    hashes: Mapping[str, str],
    metrics: Mapping[str, Any],
    parity: Mapping[str, Any],
    opset: int,
    targets: Sequence[str] = (),
    known_classes: int | None = None,
) -> dict[str, Any]:
    """Everything that a person or a server needs to know about the exported graph.

    Eighteen arguments, by name: one for each entry of the card.

    Args:
        classes: known classes in the order of the probabilities.
        class_names: class to its name in prompts, where they differ.
        prompts: templates of the text prototypes; none where the prompts are learned (kind coop in the settings).
        model: open_clip model name of the backbone.
        method: which method was deployed.
        settings: all of its settings.
        threshold: an image is unknown when its score is larger.
        accept: share of validation images to accept as known, in (0, 1).
        accepted: share that was accepted.
        image_size: side S in pixels.
        mean, std: 3 numbers each, of pixels in [0, 1]; inside the graph, here for the reader.
        hashes: input (see `HASHES`) to sha256.
        metrics: a summary of the protocol runs, which estimate the performance on an unseen domain.
        parity: as `parity.compare` returns.
        opset: of the graph.
        targets: held-out domains of the protocol runs.
        known_classes: how many of the classes each of those runs knew; None means all.
    Returns:
        A mapping that JSON can hold.
    Raises:
        DataError: there are fewer than two classes, a class is listed twice, or a hash has an unknown name.
    """
    if len(classes) < 2 or len(set(classes)) != len(classes):
        raise DataError(f"card: expected two or more different classes, found {list(classes)}")
    unknown = sorted(set(hashes) - set(HASHES))
    if unknown:
        raise DataError(f"card: unknown hash {unknown[0]!r}; expected some of {', '.join(HASHES)}")
    return {
        "format": FORMAT,
        "task": "image classification with an unknown class",
        "classes": list(classes),
        "class_names": {name: class_names.get(name, name) for name in classes},
        "prompts": list(prompts),
        "backbone": model,
        "method": method,
        "settings": dict(settings),
        "score": {"name": "energy", "direction": "larger = more open-set", "unknown_when": "score > threshold"},
        "threshold": float(threshold),
        "accept": float(accept),
        "accepted": float(accepted),
        "image_size": int(image_size),
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "transform": "shorter side to image_size (bicubic), centre square, RGB",
        "opset": int(opset),
        "targets": list(targets),
        "known_classes": len(classes) if known_classes is None else known_classes,
        "sha256": dict(hashes),
        "metrics": dict(metrics),
        "parity": dict(parity),
        "created_by": {
            name: importlib.metadata.version(name) for name in ("torch", "open_clip_torch", "onnx", "onnxscript")
        },
        "paper": PAPER,
    }
