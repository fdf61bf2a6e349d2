"""Known classes against words for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.contract import Statistics, Training
from pipeline.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

SAME = 0.95  # cosine beyond which a word is taken for a known class
NEAREST = 0.05  # share of the nearest classes that decides how far a word is
KEPT = 0.5  # share of the words, the farthest
GROUP = 100  # words against which the known classes are held at a time


def negative_words(training: Training) -> dict[str, Tensor]:
    """words (G, M, D), the words farthest from the known classes in groups; classes (C, D); scale ().

    Raises:
        DataError: there are no words, or all of them mean known classes.
    """
    import torch

    words = training.words
    if words is None or len(words) == 0:
        raise DataError("NegLabel: no list of words; give one, or choose another open-set score")
    cosine = words.double() @ training.text.double().mT  # (W, C)
    order = torch.argsort(torch.quantile(cosine, 1 - NEAREST, dim=1), stable=True)  # farthest first
    order = order[(cosine.amax(1) < SAME)[order]]
    if len(order) == 0:
        raise DataError("NegLabel: every word of the list means a known class; give words for other things")
    kept = order[: max(1, int(KEPT * len(order)))]
    groups = max(1, len(kept) // GROUP)
    size = len(kept) // groups
    dealt = kept[: groups * size].reshape(size, groups).mT  # near and far words in each group
    scale = torch.tensor(training.scale, dtype=torch.float32)
    return {"words": words[dealt].float(), "classes": training.text.float(), "scale": scale}


def negative_label(features: Tensor, statistics: Statistics) -> Tensor:
    """S(x) = -mean over groups of Σ_c e^(s cos_c) / (Σ_c e^(s cos_c) + Σ_words e^(s cos)) (Jiang et al., ICLR 2024).

    Args:
        features: (B, D), unit length.
        statistics: of `negative_words`.
    Returns:
        (B,) float32 in [-1, 0].
    """
    rows = statistics["scale"] * features.float()
    known = (rows @ statistics["classes"].mT).logsumexp(1)  # (B,)
    groups, size, _ = statistics["words"].shape
    other = (rows @ statistics["words"].flatten(0, 1).mT).reshape(-1, groups, size).logsumexp(2)  # (B, G)
    score: Tensor = -(known[:, None] - other).sigmoid().mean(1)
    return score
