"""CoOp: the words around a class's name are learned as free vectors, through the frozen text tower."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.croft.adapters import normalise


@dataclass(frozen=True, eq=False)
class ClassPrompts:
    """Prompts of C classes with a gap for the context: start token, gap, then name, full stop and end token.

    Attributes:
        first: (W,) embedding of the start token.
        rest: (C, N, W) embeddings of what follows the gap, padded to the longest.
        lengths: (C,) tokens of `rest` up to the end token, which is included; in [1, N].
        encode: embeddings (C, L, W) and lengths (C,) to raw text features (C, D), differentiable in the embeddings.
    """

    first: Tensor
    rest: Tensor
    lengths: Tensor
    encode: Callable[[Tensor, Tensor], Tensor]


def coop_start(prompts: ClassPrompts, words: Tensor | None, *, context: int, class_specific: bool, seed: int) -> Tensor:
    """The context before training.

    Args:
        prompts: give classes, width, dtype and device.
        words: (M, W) embeddings to start from; None draws from N(0, 0.02²), as the authors do, by the run's seed alone.
        context: M where it is drawn.
        class_specific: one context for each class in place of one that all share.
        seed: of the run.
    Returns:
        (M, W), or (C, M, W) with class_specific.
    """
    classes, _, width = prompts.rest.shape
    if words is not None:
        return words.expand(classes, -1, -1).clone() if class_specific else words.clone()
    shape = (classes, context, width) if class_specific else (context, width)
    generator = np.random.default_rng([seed, *shape])  # apart from the generator that shuffles the images
    return torch.from_numpy(generator.normal(0.0, 0.02, shape)).to(prompts.rest)


def coop_prototypes(context: Tensor, prompts: ClassPrompts) -> Tensor:
    """Normalised text features of the prompts "[V]_1 ... [V]_M NAME." for each class.

    Zhou et al., "Learning to Prompt for Vision-Language Models", IJCV 2022 (arXiv 2109.01134), equation 2: the class
    token stands at the end, and the logits are those of zero-shot CLIP (equation 3) with these text features.

    Args:
        context: (M, W) shared by all classes (their unified context) or (C, M, W) (class-specific).
    Returns:
        (C, D).
    """
    classes = len(prompts.rest)
    gap = context.expand(classes, -1, -1)
    embedded = torch.cat([prompts.first.expand(classes, 1, -1), gap, prompts.rest], dim=1)  # (C, 1 + M + N, W)
    return normalise(prompts.encode(embedded, 1 + gap.shape[1] + prompts.lengths))
