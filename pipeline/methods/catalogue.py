"""Every kind of method, one row each, and the logits of any head."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.methods import adapters, clip_adapter, coop, linear_probe, tip_adapter, zero_shot
from pipeline.methods.contract import Method

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = (
    adapters.METHOD,
    zero_shot.METHOD,
    linear_probe.METHOD,
    clip_adapter.METHOD,
    tip_adapter.METHOD,
    tip_adapter.TRAINED,
    coop.METHOD,
)
METHODS: dict[str, Method] = {method.kind: method for method in _ROWS}


def head_method(kind: str) -> Method:
    """The method of a head.

    Raises:
        DataError: there is none of that kind.
    """
    if kind not in METHODS:
        raise DataError(f"fits: no head of kind {kind!r}; known: {', '.join(METHODS)}; run `dvc repro finetune`")
    return METHODS[kind]


@cache
def ingredients(kind: str) -> tuple[str, ...]:
    """What the logits of a kind take by name: arrays and scalars of its heads; errors as `head_method`."""
    signature = inspect.signature(head_method(kind).logits)
    return tuple(p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY)


def head_logits(features: Tensor, kind: str, arrays: Mapping[str, Tensor], scalars: Mapping[str, float]) -> Tensor:
    """Logits of any head.

    Args:
        features: (B, D) raw image features.
        kind, arrays, scalars: of a `pipeline.fits.Head`; what its logits do not take is left aside.
    Returns:
        (B, C).
    Raises:
        DataError: the kind is unknown, or something that its logits need is missing.
    """
    values: dict[str, Tensor | float] = {**arrays, **scalars}
    missing = [name for name in ingredients(kind) if name not in values]
    if missing:
        raise DataError(f"fits: a head of kind {kind!r} lacks {missing[0]!r}; run `dvc repro -f finetune`")
    return head_method(kind).logits(features, **{name: values[name] for name in ingredients(kind)})
