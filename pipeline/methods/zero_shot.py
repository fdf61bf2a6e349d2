"""CLIP as it is: no training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pipeline.methods.adapters import record
from pipeline.methods.contract import ClassSet, Images, Method, Start
from pipeline.papers import Paper
from pipeline.params.finetune import AdapterTraining

if TYPE_CHECKING:
    from torch import Tensor


class Options(AdapterTraining):
    """It uses none of them; its record keeps the ratios at which diagnostics compare it with trained adapters."""

    kind: Literal["zero-shot"] = "zero-shot"


def start(options: Options, seed: int, classes: ClassSet, images: Images) -> Start:
    """The prompts' normalised text features."""
    return Start({}, {"prototypes": classes.prototypes})


def logits(features: Tensor, *, prototypes: Tensor, scale: float) -> Tensor:
    """Scaled cosines of features and prompts (Radford et al., "CLIP", ICML 2021).

    Args:
        features: (B, D) raw; prototypes: (C, D) normalised; scale: s > 0.
    Returns:
        (B, C) in [-s, s].
    """
    from pipeline.croft import adapters

    return adapters.logits(adapters.normalise(features), prototypes, scale)


PAPER = Paper(
    "Radford et al.",
    "Learning Transferable Visual Models From Natural Language Supervision",
    "ICML",
    2021,
    "https://arxiv.org/abs/2103.00020",
)
METHOD = Method(
    "zero-shot", Options, PAPER, start, logits, trains=False, record=lambda options: record(options, train=False)
)
