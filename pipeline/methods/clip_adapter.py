"""CLIP-Adapter: a bottleneck of two layers beside the frozen image features."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pipeline.croft.adapters import logits, normalise


def clip_adapter_start(text: Tensor, seed: int, reduction: int) -> dict[str, Tensor]:
    """Random layers, drawn by the run's seed alone.

    Uniform in ±1/sqrt(inputs), as torch.nn.Linear starts and as the authors' code therefore does.

    Args:
        text: (C, D), gives width, dtype and device.
        seed: of the run.
        reduction: D / reduction hidden units, at least 1; 4 in the paper.
    Returns:
        down (H, D) and up (D, H).
    """
    width = text.shape[-1]
    hidden = max(1, width // reduction)
    generator = np.random.default_rng([seed, width, hidden])  # apart from the generator that shuffles the images

    def layer(rows: int, columns: int) -> Tensor:
        bound = 1 / math.sqrt(columns)
        return torch.from_numpy(generator.uniform(-bound, bound, (rows, columns))).to(text)

    return {"down": layer(hidden, width), "up": layer(width, hidden)}


def clip_adapter_logits(
    features: Tensor, *, down: Tensor, up: Tensor, prototypes: Tensor, ratio_image: float, scale: float
) -> Tensor:
    """Logits s n(α A(f) + (1 - α) f) z_Tᵀ with A(f) = relu(relu(f W_1) W_2).

    Gao et al., "CLIP-Adapter", IJCV 2024 (arXiv 2110.04544), its visual adapter.

    Args:
        features: (B, D) raw; down: (H, D); up: (D, H); prototypes: (C, D) normalised.
        ratio_image: α in [0, 1], 0.2 in the authors' code; scale: s > 0.
    Returns:
        (B, C) in [-s, s].
    """
    adapted = torch.relu(torch.relu(features @ down.mT) @ up.mT)  # (B, D)
    return logits(normalise(ratio_image * adapted + (1 - ratio_image) * features), prototypes, scale)
