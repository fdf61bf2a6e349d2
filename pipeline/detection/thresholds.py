"""The score above which an image is called unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pipeline.errors import DataError


class Threshold(NamedTuple):
    """An image is unknown when its score is larger than `value`; `note` says where the images were too few."""

    value: float
    note: str = ""


def set_threshold(id_scores: ArrayLike, rate: float, kind: str = "quantile", groups: Sequence[str] = ()) -> Threshold:
    """The threshold that accepts at least a share of in-distribution images.

    Args:
        id_scores: (N,) scores of in-distribution images that training did not see; larger = more open-set.
        rate: share to accept, in (0, 1].
        kind: quantile (`accept_threshold`), conformal (`conformal_threshold`) or worst-domain (the largest
            `accept_threshold` of any group, so that each group has that share accepted).
        groups: (N,) names of the images' domains, for worst-domain.
    Raises:
        DataError: there is no score, or one is not finite. ValueError: the kind is unknown, or as below.
    """
    scores = np.asarray(id_scores, dtype=np.float64).reshape(-1)  # as given: `groups` go with them
    if kind == "conformal":
        return conformal_threshold(scores, rate)
    if kind == "quantile":
        return Threshold(accept_threshold(scores, rate), _too_few(scores.size, rate))
    if kind != "worst-domain" or len(groups) != scores.size:
        raise ValueError(f"unknown kind of threshold {kind!r}, or {len(groups)} groups for {scores.size} scores")
    names = np.asarray(groups)
    parts = {str(name): scores[names == name] for name in sorted(set(groups))}
    limits = {name: accept_threshold(part, rate) for name, part in parts.items()}
    worst = max(limits, key=lambda name: limits[name])
    note = _too_few(min(part.size for part in parts.values()), rate)
    return Threshold(limits[worst], f"set by {worst or 'the only domain'}" + (f"; {note}" if note else ""))


def accept_threshold(id_scores: ArrayLike, rate: float) -> float:
    """Smallest threshold that accepts at least `rate` of the ID scores; an image is unknown when its score is larger.

    Args:
        id_scores: (N,) scores of in-distribution images that training did not see; larger = more open-set.
        rate: share to accept, in (0, 1].
    Returns:
        One of the scores.
    Raises:
        DataError: there is no score, or one is not finite.
        ValueError: rate is outside (0, 1].
    """
    scores = _checked(id_scores, rate)
    # Compare the shares k / N themselves: rounding rate * N up gives one too many where the product is inexact.
    shares = np.arange(1, scores.size + 1) / scores.size
    return float(scores[np.searchsorted(shares, rate)])


def conformal_threshold(id_scores: ArrayLike, rate: float) -> Threshold:
    """The k-th smallest score, k = ⌈(N + 1) rate⌉: accepts a new image of the same kind with probability >= rate.

    (Vovk et al., "Algorithmic Learning in a Random World", 2005, split conformal prediction.)

    Returns:
        One of the scores; the largest, with a note, where N images are too few for that promise (k > N).
    """
    scores = _checked(id_scores, rate)
    place = math.ceil((scores.size + 1) * rate - 1e-9)
    if place > scores.size:
        needed = math.ceil(rate / (1 - rate) - 1e-9) if rate < 1 else 0
        wanted = f"{needed} are needed" if needed else "no number of images promises this"
        return Threshold(float(scores[-1]), f"no promise: {scores.size} validation images, {wanted}")
    return Threshold(float(scores[place - 1]))


def _too_few(count: int, rate: float) -> str:
    """A rate that lies beyond the last score but one is decided by a single image."""
    return f"set by the single largest score of {count} validation images" if count * (1 - rate) < 1 else ""


def _checked(id_scores: ArrayLike, rate: float) -> np.ndarray:
    scores = np.sort(np.asarray(id_scores, dtype=np.float64).reshape(-1))
    if not 0.0 < rate <= 1.0:
        raise ValueError(f"rate must be in (0, 1], got {rate}")
    if scores.size == 0 or not np.isfinite(scores).all():
        raise DataError("threshold: expected at least one score, all finite; check the validation images and the model")
    return scores
