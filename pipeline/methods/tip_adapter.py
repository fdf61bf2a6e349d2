"""Tip-Adapter: a cache of the training images, looked up by similarity; Tip-Adapter-F also trains its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pipeline.methods.contract import Arrays, ClassSet, Images, Method, Start
from pipeline.papers import Paper
from pipeline.params.finetune import Optimised
from pipeline.params.section import NotNegative, Section

if TYPE_CHECKING:
    from torch import Tensor

ALPHAS = [0.1 + 2.9 * step / 19 for step in range(20)]  # the authors' search ranges, with fewer steps for β
BETAS = [0.1 + 6.9 * step / 19 for step in range(20)]


class Options(Section):
    """alpha, beta: where the search by source validation starts, and what is kept with select: last."""

    kind: Literal["tip-adapter"] = "tip-adapter"
    alpha: NotNegative = 1.0
    beta: NotNegative = 5.5
    select: Literal["source-val", "last"] = "source-val"


class TrainedOptions(Optimised):
    """The same with keys that are trained."""

    kind: Literal["tip-adapter-f"] = "tip-adapter-f"
    optimizer: Literal["sgd", "adamw"] = "adamw"
    alpha: NotNegative = 1.0
    beta: NotNegative = 5.5


def start(options: Options | TrainedOptions, seed: int, classes: ClassSet, images: Images) -> Start:
    """Cache of the training images: the normalised mean over their views, as in the authors' code.

    Views are normalised before the mean, too, so that none outweighs the others; the authors average them raw.

    Returns:
        keys (N, D), learnt; values (N, C), the labels, one-hot, and the prototypes, fixed.
    """
    from torch.nn import functional

    from pipeline.croft.adapters import normalise

    keys = normalise(normalise(images.views()).mean(dim=1))
    values = functional.one_hot(images.labels, len(classes.text)).to(keys.dtype)
    return Start({"keys": keys}, {"values": values, "prototypes": classes.prototypes})


def logits(
    features: Tensor, *, keys: Tensor, values: Tensor, prototypes: Tensor, alpha: Tensor | float,
    beta: Tensor | float, scale: float,
) -> Tensor:  # fmt: skip
    """Logits s n(f) z_Tᵀ + α exp(-β (1 - n(f) Kᵀ)) V (Zhang et al., "Tip-Adapter", ECCV 2022).

    Args:
        features: (B, D) raw; keys: (N, D); values: (N, C); prototypes: (C, D) normalised.
        alpha: weight of the cache, >= 0; beta: sharpness, >= 0; scale: s > 0.
    Returns:
        (B, C).
    """
    import torch

    from pipeline.croft import adapters

    image = adapters.normalise(features)
    cached = torch.exp(-beta * (1 - image @ keys.mT)) @ values
    return adapters.logits(image, prototypes, scale) + alpha * cached


def search(
    arrays: Arrays, scalars: dict[str, float], options: Any, features: Tensor, labels: Tensor
) -> tuple[dict[str, float], float]:
    """The pair of the grid `ALPHAS` x `BETAS` and the given one that classifies most validation images correctly.

    Args:
        arrays, scalars: of the finished fit.
        options: with select: last, nothing is searched.
        features: (M, D) raw; labels: (M,).
    Returns:
        Scalars with that alpha and beta, and their accuracy in [0, 1]; the first best, smaller beta first; the given
        pair stays unless another is strictly better.
    """
    import torch

    from pipeline.croft import adapters

    if options.select == "last":
        return scalars, float("nan")
    image = adapters.normalise(features)
    plain = adapters.logits(image, arrays["prototypes"], scalars["scale"])
    similarity = image @ arrays["keys"].mT  # (M, N)
    best = (scalars["alpha"], scalars["beta"], -1.0)
    for beta, alphas in [(scalars["beta"], [scalars["alpha"]]), *((beta, ALPHAS) for beta in BETAS)]:
        cached = torch.exp(-beta * (1 - similarity)) @ arrays["values"]  # (M, C)
        for alpha in alphas:
            share = ((plain + alpha * cached).argmax(-1) == labels).double().mean().item()
            if share > best[2]:
                best = (alpha, beta, share)
    return scalars | {"alpha": best[0], "beta": best[1]}, best[2]


PAPER = Paper(
    "Zhang et al.",
    "Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification",
    "ECCV",
    2022,
    "https://arxiv.org/abs/2207.09519",
)
METHOD = Method("tip-adapter", Options, PAPER, start, logits, trains=False, finish=search, per_image=True)
TRAINED = Method("tip-adapter-f", TrainedOptions, PAPER, start, logits, finish=search, per_image=True)
