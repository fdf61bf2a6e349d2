"""Heads of trained adapters, made by hand."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.croft.adapters import adapt
from pipeline.fits import Head


def adapters_head(
    image_weight: np.ndarray,
    text_weight: np.ndarray,
    text: np.ndarray,
    *,
    ratio_image: float,
    ratio_text: float,
    scale: float,
) -> Head:
    """W_I and W_T (D, D) and raw text features (C, D) as the engine leaves them."""
    words, matrix = (torch.from_numpy(np.array(array, dtype=np.float32)) for array in (text, text_weight))
    return Head(
        "adapters",
        {
            "image_weight": np.asarray(image_weight, np.float32),
            "text_weight": np.asarray(text_weight, np.float32),
            "prototypes": adapt(words, matrix, torch.tensor(ratio_text)).numpy(),
        },
        {"ratio_image": ratio_image, "ratio_text": ratio_text, "scale": scale},
    )
