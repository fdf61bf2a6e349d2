"""CLIP-Adapter: a bottleneck of two layers beside the frozen image features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pipeline.methods.contract import ClassSet, Images, Method, Start
from pipeline.papers import Paper
from pipeline.params.finetune import Optimised
from pipeline.params.section import Count, Rate

if TYPE_CHECKING:
    from torch import Tensor


class Options(Optimised):
    """ratio_image: α, share of the adapted feature. reduction: width over hidden units."""

    kind: Literal["clip-adapter"] = "clip-adapter"
    optimizer: Literal["sgd", "adamw"] = "sgd"
    ratio_image: Rate = 0.2
    reduction: Count = 4


def start(options: Options, seed: int, classes: ClassSet, images: Images) -> Start:
    """Random layers, drawn by the run's seed alone.

    Uniform in ±1/sqrt(inputs), as torch.nn.Linear starts and as the authors' code therefore does.

    Returns:
        down (H, D) and up (D, H) with H = D / reduction, at least 1; fixed: the prototypes.
    """
    import numpy as np
    import torch

    width = classes.text.shape[-1]
    hidden = max(1, width // options.reduction)
    generator = np.random.default_rng([seed, width, hidden])  # apart from the generator that shuffles the images

    def layer(rows: int, columns: int) -> Tensor:
        bound = 1 / math.sqrt(columns)
        return torch.from_numpy(generator.uniform(-bound, bound, (rows, columns))).to(classes.text)

    learnt = {"down": layer(hidden, width), "up": layer(width, hidden)}
    return Start(learnt, {"prototypes": classes.prototypes})


def logits(
    features: Tensor, *, down: Tensor, up: Tensor, prototypes: Tensor, ratio_image: Tensor | float, scale: float
) -> Tensor:
    """Logits s n(α A(f) + (1 - α) f) z_Tᵀ with A(f) = relu(relu(f W_1) W_2).

    Gao et al., "CLIP-Adapter", IJCV 2024, its visual adapter.

    Args:
        features: (B, D) raw; down: (H, D); up: (D, H); prototypes: (C, D) normalised.
        ratio_image: α in [0, 1], 0.2 in the authors' code; scale: s > 0.
    Returns:
        (B, C) in [-s, s].
    """
    import torch

    from pipeline.croft import adapters

    adapted = torch.relu(torch.relu(features @ down.mT) @ up.mT)  # (B, D)
    image = adapters.normalise(ratio_image * adapted + (1 - ratio_image) * features)
    return adapters.logits(image, prototypes, scale)


PAPER = Paper(
    "Gao et al.",
    "CLIP-Adapter: Better Vision-Language Models with Feature Adapters",
    "IJCV",
    2024,
    "https://arxiv.org/abs/2110.04544",
)
METHOD = Method("clip-adapter", Options, PAPER, start, logits)
