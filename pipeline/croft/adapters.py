"""Linear adapters on frozen CLIP features, their logits and their energy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-6  # added to every norm, as in the authors' code


class Weights(NamedTuple):
    """The trainable matrices, (R, D, D) or (D, D); no generator where none is trained."""

    image: Tensor
    text: Tensor
    generator: Tensor | None

    @property
    def shift(self) -> Tensor:
        """The generator, where there must be one.

        Raises:
            ValueError: there is none.
        """
        if self.generator is None:
            raise ValueError("this objective needs a generator matrix")
        return self.generator


class Gradients(NamedTuple):
    """Gradients of `Weights`; None leaves that matrix where it is."""

    image: Tensor | None
    text: Tensor | None
    generator: Tensor | None


def per_run(value: Tensor | float) -> Tensor | float:
    """Let a number per run multiply rows: (R,) -> (R, 1, 1); plain numbers and 0-d tensors stay."""
    if isinstance(value, Tensor) and value.ndim == 1:
        return value[:, None, None]
    return value


def normalise(rows: Tensor) -> Tensor:
    """Divide each row by its norm plus 1e-6.

    Args:
        rows: (..., D), any scale.
    Returns:
        (..., D), norms just below 1.
    """
    norms: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / (norms + EPSILON)


def blend(features: Tensor, weight: Tensor, ratio: Tensor | float) -> Tensor:
    """Adapter output before normalising: r f Wᵀ + (1 - r) f.

    Args:
        features: (R, B, D), or (B, D) shared by all runs.
        weight: (R, D, D) or (D, D).
        ratio: (R,) or a number, in [0, 1]; share of the adapted feature.
    Returns:
        (R, B, D), or (B, D) when nothing has a run axis.
    """
    if features.ndim < weight.ndim:
        # Expanded rather than broadcast: a broadcast matmul folds runs into one product, whose rounding depends on R.
        features = features.expand(weight.shape[0], -1, -1)
    share = per_run(ratio)
    return share * (features @ weight.mT) + (1 - share) * features


def adapt(features: Tensor, weight: Tensor, ratio: Tensor | float) -> Tensor:
    """Adapted and normalised features z = n(r f Wᵀ + (1 - r) f); arguments as in `blend`."""
    return normalise(blend(features, weight, ratio))


def logits(image: Tensor, text: Tensor, scale: float) -> Tensor:
    """Scaled cosines of adapted features.

    Args:
        image: (R, B, D) normalised.
        text: (R, C, D) normalised.
        scale: s = exp(logit_scale), 100 for CLIP.
    Returns:
        (R, B, C) in [-s, s].
    """
    return scale * (image @ text.mT)


def cross_entropy(values: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each run.

    Args:
        values: (R, B, C) logits.
        labels: (R, B) or (B,) int64 in [0, C).
    Returns:
        (R,), nats, or a 0-d tensor without a run axis.
    """
    index = labels.expand(values.shape[:-1]).unsqueeze(-1)  # (R, B, 1)
    return -torch.log_softmax(values, dim=-1).gather(-1, index).squeeze(-1).mean(-1)
