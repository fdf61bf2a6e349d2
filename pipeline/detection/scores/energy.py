"""Free energy of the logits, and its change when the best class is taken away.

Arguments and errors as in `softmax`; larger = more open-set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.contract import check_logits

if TYPE_CHECKING:
    from torch import Tensor


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """E(x) = -T logsumexp_c(logits_c / T), unbounded (Liu et al., NeurIPS 2020, eq. 4)."""
    check_logits(logits)
    return -temperature * (logits.float() / temperature).logsumexp(dim=1)


def energy_change(logits: Tensor, top: int = 1) -> Tensor:
    """S(x) = E(x) - E'(x), where E' sees the `top` largest cosines as 0 (Zhu et al., "ΔEnergy", NeurIPS 2025).

    An image of a known class owes its energy to one class, so that taking it away changes much.

    Args:
        top: how many; fewer than C.
    Returns:
        (B,), unbounded; at most 0 where those logits are positive.
    Raises:
        ValueError: logits is not 2-D or has no more than `top` classes.
    """
    check_logits(logits)
    if logits.shape[1] <= top:
        raise ValueError(f"logits must have more than {top} classes, got {logits.shape[1]}")
    values = logits.float()
    without = values.scatter(1, values.topk(top, dim=1).indices, 0.0)
    return without.logsumexp(dim=1) - values.logsumexp(dim=1)
