"""What a score is: a number per image, larger = more open-set, of logits or of image features.

Plain tensor operations, which ONNX can express. What a score learns from training images is a dictionary of arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.papers import Paper

if TYPE_CHECKING:
    from torch import Tensor

Statistics = Mapping[str, "Tensor"]


class Seen(NamedTuple):
    """What a score may see of B images.

    Attributes:
        logits: (B, C) of the head, already multiplied by `scale`; any float dtype.
        scale: s > 0; logits / scale are cosines for heads that compare with prototypes.
        features: (B, D) of the frozen tower, unit length.
    """

    logits: Tensor
    scale: float
    features: Tensor


class Training(NamedTuple):
    """What a score may learn from: images and texts of known classes only.

    Attributes:
        features: (N, D) of training images, unit length.
        labels: (N,) int64 in [0, C), each class at least once.
        text: (C, D) of the known classes, unit length.
        scale: s > 0.
        words: (W, D) text features of names that may be anything else, unit length; None where there is no list.
    """

    features: Tensor
    labels: Tensor
    text: Tensor
    scale: float
    words: Tensor | None = None


@dataclass(frozen=True)
class LogitScore:
    """A score of logits alone; it exists for the fitted head, for zero-shot, and for both together.

    Attributes:
        compute: logits (B, C) and scale to (B,) float32.
    """

    name: str
    compute: Callable[[Tensor, float], Tensor]
    paper: Paper


@dataclass(frozen=True)
class FeatureScore:
    """A score of image features, the same for every head.

    Attributes:
        fit: what it takes from training images, as arrays; raises DataError where it cannot.
        compute: unit features (B, D) and those arrays to (B,) float32.
        words: whether it needs `Training.words`.
    """

    name: str
    fit: Callable[[Training], dict[str, Tensor]]
    compute: Callable[[Tensor, Statistics], Tensor]
    paper: Paper
    words: bool = False


Score = LogitScore | FeatureScore


def check_logits(logits: Tensor) -> None:
    """Raises ValueError: logits is not (B, C) with C > 0."""
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise ValueError(f"logits must be (B, C) with C > 0, got shape {tuple(logits.shape)}")
