"""Parity in decisions: what a graph answers to image files, cell by cell, against torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import ParityError
from pipeline.images import open_rgb
from pipeline.serving.inputs import pixels_of
from pipeline.serving.session import open_proven

if TYPE_CHECKING:
    import numpy as np

    from pipeline.export.graph import DeployedModel
    from pipeline.params.choice import ParityLimits

BATCHES = (1, 2, 7, 33)
UNKNOWN = -1
_CHUNK = 64


class Answers(NamedTuple):
    """Of N images: probabilities (N, C), score (N,), unknown (N,) bool."""

    probabilities: np.ndarray
    score: np.ndarray
    unknown: np.ndarray


class Reference(NamedTuple):
    """What torch answers, and what is right.

    Attributes:
        pixels: (N, S, S, 3) uint8, by serving's own preprocessing of the files.
        labels: (N,) index of the class, or UNKNOWN; only known images count for flips and accuracy.
        answers: of torch, on pixels that torchvision made of the same files.
        threshold: of the unknown flag.
    """

    pixels: np.ndarray
    labels: np.ndarray
    answers: Answers
    threshold: float


def reference(
    module: DeployedModel, files: Sequence[bytes], labels: Sequence[int], *, size: int, max_pixels: int
) -> Reference:
    """Decide on encoded images with torch and torchvision; prepare the same images as prediction does.

    Raises:
        DataError: an image cannot be decoded. ParityError: there are no known images.
    """
    import numpy as np
    import torch
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    if not any(label >= 0 for label in labels):
        raise ParityError("parity: no validation images to compare on")
    cut = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)])
    parts = []
    for start in range(0, len(files), _CHUNK):
        chunk = files[start : start + _CHUNK]
        batch = np.stack([np.asarray(cut(open_rgb(file, max_pixels=max_pixels))) for file in chunk])
        with torch.inference_mode():
            parts.append([output.numpy() for output in module(torch.from_numpy(batch))])
    pixels = np.stack(
        [
            pixels_of(file, size=size, name=f"image {row}", max_bytes=len(file), max_pixels=max_pixels)
            for row, file in enumerate(files)
        ]
    )
    answers = Answers(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return Reference(pixels, np.asarray(labels), answers, float(module.threshold))


def cells(
    precision: str, graph: Path, truth: Reference, *, provider: str, batches: Sequence[int] = BATCHES, near: float = 0.0
) -> list[dict[str, Any]]:
    """Compare a graph with torch at several batch sizes; every batch size sees every image.

    Args:
        precision: fp32, fp16 or int8.
        graph: the ONNX file.
        truth: as `reference` returns.
        provider: cpu or cuda.
        batches: sizes.
        near: flips of images that torch decides by less than this are ties: not counted.
    Returns:
        Rows of: precision, provider, executed (nodes by provider), batch, images (known ones),
        max_probability_difference, max_score_difference (relative to max(1, |score|)), label_flips, unknown_flips
        (shares of known images), accuracy_change; auroc_change and fpr95_change, None
        without unknown images.
    Raises:
        CheckpointError, DeviceError: as `open_proven`, such as where cuda executes nothing.
        ParityError: the graph's answers are not finite or of another shape.
    """
    session, executed = open_proven(graph, provider)
    name = session.get_inputs()[0].name
    rows = []
    for batch in batches:
        steps = range(0, len(truth.pixels), batch)
        answers = _run(session, name, [truth.pixels[start : start + batch] for start in steps], graph)
        rows.append(
            {
                "precision": precision,
                "provider": provider,
                "executed": executed,
                "batch": batch,
                **differences(truth, answers, near=near),
            }
        )
    return rows


def _run(session: Any, name: str, batches: Sequence[np.ndarray], graph: Path) -> Answers:
    import numpy as np

    parts = []
    for batch in batches:
        try:
            parts.append(session.run(list(Answers._fields), {name: batch}))
        except Exception as error:  # onnxruntime's own exception types share no public base
            raise ParityError(
                f"{graph}: cannot run on a batch of {len(batch)}: {' '.join(str(error).split())}"
            ) from None
    return Answers(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def differences(truth: Reference, answers: Answers, *, near: float = 0.0) -> dict[str, Any]:
    """The numbers of one cell; see `cells`."""
    import numpy as np

    from pipeline.detection.metrics import auroc, fpr95_id_positive

    expected, known = truth.answers, truth.labels >= 0
    if answers.probabilities.shape != expected.probabilities.shape or not all(
        np.isfinite(array).all() for array in answers
    ):
        raise ParityError(
            f"expected finite answers of shape {expected.probabilities.shape}, found {answers.probabilities.shape}"
        )
    scale = np.maximum(1.0, np.abs(expected.score))
    best, other = expected.probabilities.argmax(axis=1), answers.probabilities.argmax(axis=1)
    top = np.sort(expected.probabilities, axis=1)
    label_flips = (best != other) & (top[:, -1] - top[:, -2] > 2 * near)
    unknown_flips = (expected.unknown != answers.unknown) & (np.abs(expected.score - truth.threshold) > near * scale)
    labels = truth.labels[known]
    change: dict[str, float | None] = {"auroc_change": None, "fpr95_change": None}
    if not known.all():
        for key, metric in (("auroc_change", auroc), ("fpr95_change", fpr95_id_positive)):
            change[key] = metric(answers.score[known], answers.score[~known]) - metric(
                expected.score[known], expected.score[~known]
            )
    return {
        "images": int(known.sum()),
        "max_probability_difference": float(np.abs(answers.probabilities - expected.probabilities).max()),
        "max_score_difference": float((np.abs(answers.score - expected.score) / scale).max()),
        "label_flips": float(label_flips[known].mean()),
        "unknown_flips": float(unknown_flips[known].mean()),
        "accuracy_change": float((other[known] == labels).mean() - (best[known] == labels).mean()),
        **change,
    }


def breaches(rows: Sequence[Mapping[str, Any]], limits: ParityLimits) -> Iterator[str]:
    """One sentence for each limit that a cell does not keep; a NaN keeps none. Unknown images decide nothing."""
    for row in rows:
        place = f"{row['precision']} on {row['provider']} at batch {row['batch']}"
        difference = max(row["max_probability_difference"], row["max_score_difference"])
        measured = {
            "difference": (difference, limits.difference),
            "label_flips": (row["label_flips"], limits.label_flips),
            "unknown_flips": (row["unknown_flips"], limits.unknown_flips),
            "accuracy": (-row["accuracy_change"], limits.accuracy),
        }
        for key, (found, allowed) in measured.items():
            if allowed is not None and not found <= allowed + 1e-12:
                yield f"{place}: {key} {found:.3g}, at most {allowed:.3g} is allowed"
