"""How much of an image lies outside what training images span, against how well it fits a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.contract import Statistics, Training
from pipeline.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


def principal_subspace(training: Training) -> dict[str, Tensor]:
    """residual (D, D - d), the directions of least variance; weights (C, D), text times scale; alpha (), > 0.

    d is half of the dimensions that training images span, so that some are left with fewer images than dimensions.

    Raises:
        DataError: the training images leave nothing outside.
    """
    import torch

    features, weights = training.features.double(), training.scale * training.text.double()
    values, vectors = torch.linalg.eigh(features.mT @ features / len(features))  # rising
    rank = int((values > values[-1] * 1e-9).sum())
    residual = vectors[:, : len(values) - rank // 2]
    outside = (features @ residual).norm(dim=1).mean()
    if not outside > 0:
        raise DataError("ViM: training images leave no direction outside their subspace; choose another open-set score")
    alpha = (features @ weights.mT).amax(1).mean() / outside
    return {"residual": residual.float(), "weights": weights.float(), "alpha": alpha.float()}


def virtual_logit(features: Tensor, statistics: Statistics) -> Tensor:
    """S(x) = α ‖x Rᵀ‖ - logsumexp_c(w_c x) (Wang et al., "ViM", CVPR 2022, eq. 8, with zero-shot weights and no bias).

    Args:
        features: (B, D), unit length.
        statistics: of `principal_subspace`.
    Returns:
        (B,) float32, unbounded.
    """
    rows = features.float()
    outside: Tensor = (rows @ statistics["residual"]).norm(dim=1)
    return statistics["alpha"] * outside - (rows @ statistics["weights"].mT).logsumexp(1)
