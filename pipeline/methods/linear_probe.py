"""Linear probe that starts at the zero-shot classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pipeline.methods.contract import ClassSet, Images, Method, Start
from pipeline.methods.zero_shot import PAPER
from pipeline.params.finetune import Optimised

if TYPE_CHECKING:
    from torch import Tensor


class Options(Optimised):
    """A layer of C x D weights and C biases."""

    kind: Literal["linear-probe"] = "linear-probe"
    optimizer: Literal["sgd", "adamw"] = "sgd"


def start(options: Options, seed: int, classes: ClassSet, images: Images) -> Start:
    """The layer whose logits are the zero-shot ones (Wortsman et al., "WiSE-FT", CVPR 2022).

    Returns:
        weight (C, D), the normalised prototypes, and bias (C,), zero.
    """
    return Start({"weight": classes.prototypes.clone(), "bias": classes.text.new_zeros(len(classes.text))})


def logits(features: Tensor, *, weight: Tensor, bias: Tensor, scale: float) -> Tensor:
    """Logits s (n(f) Wᵀ + b) (Radford et al., "CLIP", ICML 2021, section 3.2, on normalised features).

    Args:
        features: (B, D) raw; weight: (C, D); bias: (C,); scale: s > 0.
    Returns:
        (B, C), unbounded: the weights are not normalised.
    """
    from pipeline.croft.adapters import normalise

    return scale * (normalise(features) @ weight.mT + bias.unsqueeze(-2))


METHOD = Method("linear-probe", Options, PAPER, start, logits)
