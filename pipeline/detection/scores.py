"""A catalogue of open-set scores of logits; larger = more open-set. Plain tensor operations, which export to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def energy(logits: Tensor) -> Tensor:
    """Free energy of the logits; larger means more likely open-set.

    E(x) = -logsumexp_c(logits_c)                  (Liu et al., NeurIPS 2020, eq. 4 with T = 1)

    Args:
        logits: (B, C), already multiplied by the logit scale; any float dtype, computed in float32.
    Returns:
        (B,) float32, unbounded.
    Raises:
        ValueError: logits is not 2-D or C is 0.
    """
    _check(logits)
    return -logits.float().logsumexp(dim=1)


def max_softmax(logits: Tensor) -> Tensor:
    """Minus the largest class probability; larger means more likely open-set.

    S(x) = -max_c softmax(logits)_c                  (Hendrycks & Gimpel, ICLR 2017; MCM: Ming et al., NeurIPS 2022)

    Args:
        logits: (B, C), already multiplied by the logit scale; any float dtype, computed in float32.
    Returns:
        (B,) float32 in [-1, -1/C].
    Raises:
        ValueError: logits is not 2-D or C is 0.
    """
    _check(logits)
    return -logits.float().softmax(dim=1).amax(dim=1)


def _check(logits: Tensor) -> None:
    if logits.ndim != 2 or logits.shape[1] == 0:
        raise ValueError(f"logits must be (B, C) with C > 0, got shape {tuple(logits.shape)}")


CATALOGUE: dict[str, Callable[[Tensor], Tensor]] = {"energy": energy, "max-softmax": max_softmax}
DEPLOYED = "energy"  # what evaluation measures and the exported graph computes
