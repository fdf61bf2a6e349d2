"""Every kind of head with its formula: from raw image features to logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from pipeline.errors import DataError
from pipeline.methods.adapters import adapters_logits, zero_shot_logits
from pipeline.methods.clip_adapter import clip_adapter_logits
from pipeline.methods.linear_probe import linear_probe_logits
from pipeline.methods.tip_adapter import tip_adapter_logits


class Formula(NamedTuple):
    """logits(features, **arrays, **scalars), with the arrays and scalars that it takes."""

    logits: Callable[..., Tensor]
    arrays: tuple[str, ...]
    scalars: tuple[str, ...]


_TIP = Formula(tip_adapter_logits, ("keys", "values", "prototypes"), ("alpha", "beta", "scale"))
FORMULAS: dict[str, Formula] = {
    "zero-shot": Formula(zero_shot_logits, ("prototypes",), ("scale",)),
    "adapters": Formula(adapters_logits, ("image_weight", "prototypes"), ("ratio_image", "scale")),
    "linear-probe": Formula(linear_probe_logits, ("weight", "bias"), ("scale",)),
    "clip-adapter": Formula(clip_adapter_logits, ("down", "up", "prototypes"), ("ratio_image", "scale")),
    "coop": Formula(zero_shot_logits, ("prototypes",), ("scale",)),  # once its prompts are learned and encoded
    "tip-adapter": _TIP,
    "tip-adapter-f": _TIP,
}


def formula(kind: str) -> Formula:
    """The formula of a kind.

    Raises:
        DataError: there is no such kind.
    """
    if kind not in FORMULAS:
        raise DataError(f"fits: no head of kind {kind!r}; known: {', '.join(FORMULAS)}; run `dvc repro finetune`")
    return FORMULAS[kind]


def head_logits(features: Tensor, kind: str, arrays: Mapping[str, Tensor], scalars: Mapping[str, float]) -> Tensor:
    """Logits of any head.

    Args:
        features: (B, D) raw image features.
        kind, arrays, scalars: of a `pipeline.fits.Head`; what its formula does not take is left aside.
    Returns:
        (B, C).
    Raises:
        DataError: the kind is unknown, or something that its formula needs is missing.
    """
    found = formula(kind)
    missing = [n for n in found.arrays if n not in arrays] + [n for n in found.scalars if n not in scalars]
    if missing:
        raise DataError(f"fits: a head of kind {kind!r} lacks {missing[0]!r}; run `dvc repro -f finetune`")
    return found.logits(
        features, **{name: arrays[name] for name in found.arrays}, **{name: scalars[name] for name in found.scalars}
    )
