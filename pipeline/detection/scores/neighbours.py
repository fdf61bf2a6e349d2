"""Distance to the nearest training images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.contract import Statistics, Training
from pipeline.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

BANK = 50_000  # images at most, since an exported graph holds them: 100 MB at a width of 512
NEIGHBOUR = 5  # few-shot data have few images per class, and the neighbours should be of one class


def bank(training: Training) -> dict[str, Tensor]:
    """bank (N, D): the features of the training images.

    Raises:
        DataError: there are more than BANK.
    """
    if len(training.features) > BANK:
        raise DataError(
            f"KNN: {len(training.features)} training images, at most {BANK} fit into a graph; choose another score"
        )
    return {"bank": training.features.float()}


def neighbour_distance(features: Tensor, statistics: Statistics, k: int = NEIGHBOUR) -> Tensor:
    """S(x) = distance to the k-th nearest training image (Sun et al., ICML 2022).

    Args:
        features: (B, D), unit length.
        statistics: of `bank`.
        k: the last image counts where there are fewer.
    Returns:
        (B,) float32 in [0, 2]: Euclidean distances of unit vectors.
    """
    rows = statistics["bank"]
    cosine = (features.float() @ rows.mT).topk(min(k, len(rows)), dim=1).values[:, -1]
    return (2 - 2 * cosine).clamp(min=0).sqrt()
