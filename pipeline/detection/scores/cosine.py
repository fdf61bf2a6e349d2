"""Scores of the cosines behind the logits: free of the logit scale, which a loss or a penalty may have bent.

Arguments and errors as in `softmax`, with `scale` s > 0; larger = more open-set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.softmax import max_logit, max_softmax

if TYPE_CHECKING:
    from torch import Tensor


def max_concept_matching(logits: Tensor, scale: float, temperature: float = 1.0) -> Tensor:
    """S(x) = -max_c softmax(cos_c / τ), in [-1, -1/C] (Ming et al., "MCM", NeurIPS 2022, eq. 1)."""
    return max_softmax(logits.float() / (scale * temperature))


def max_cosine(logits: Tensor, scale: float) -> Tensor:
    """S(x) = -max_c cos_c, in [-1, 1] for heads that compare with prototypes."""
    return max_logit(logits.float() / scale)
