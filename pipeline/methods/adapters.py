"""Linear adapters as a head: zero-shot CLIP, adapters with any objective, and CRoFT differ in their weights only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.croft.adapters import adapt, logits, normalise
from pipeline.fits import Head


def adapters_logits(
    features: Tensor, *, image_weight: Tensor, prototypes: Tensor, ratio_image: float, scale: float
) -> Tensor:
    """Logits s z_I z_Tᵀ with z_I = n(r f W_Iᵀ + (1 - r) f) (Zhu et al., "CRoFT", ICML 2024).

    Args:
        features: (B, D) raw.
        image_weight: (D, D), W_I.
        prototypes: (C, D), z_T: text features, adapted and normalised.
        ratio_image: r in [0, 1].
        scale: s > 0.
    Returns:
        (B, C) in [-s, s].
    """
    return logits(adapt(features, image_weight, ratio_image), prototypes, scale)


def zero_shot_logits(features: Tensor, *, prototypes: Tensor, scale: float) -> Tensor:
    """Scaled cosines of features and prompts (Radford et al., "CLIP", ICML 2021).

    Args:
        features: (B, D) raw; prototypes: (C, D) normalised; scale: s > 0.
    Returns:
        (B, C) in [-s, s].
    """
    return logits(normalise(features), prototypes, scale)


def adapters_head(
    image_weight: NDArray[np.floating],
    text_weight: NDArray[np.floating],
    text: NDArray[np.floating],
    *,
    ratio_image: float,
    ratio_text: float,
    scale: float,
) -> Head:
    """The head of trained adapters.

    Args:
        image_weight, text_weight: (D, D), W_I and W_T; the latter is kept for diagnostics of the loss.
        text: (C, D) raw text features.
        ratio_image, ratio_text: in [0, 1], as trained.
        scale: s > 0.
    """
    import torch

    words = adapt(_tensor(text), _tensor(text_weight), torch.tensor(ratio_text)).numpy()
    return Head(
        "adapters",
        {
            "image_weight": np.asarray(image_weight, np.float32),
            "text_weight": np.asarray(text_weight, np.float32),
            "prototypes": words,
        },
        {"ratio_image": ratio_image, "ratio_text": ratio_text, "scale": scale},
    )


def zero_shot_head(text: NDArray[np.floating], *, scale: float) -> Head:
    """The head of CLIP as it is; text: (C, D) raw text features; scale: s > 0."""
    return Head("zero-shot", {"prototypes": normalise(_tensor(text)).numpy()}, {"scale": scale})


def _tensor(array: NDArray[np.floating]) -> Tensor:
    import torch

    return torch.from_numpy(np.array(array, dtype=np.float32))
