"""Distances to classes that are Gaussians with one covariance between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.scores.contract import Statistics, Training

if TYPE_CHECKING:
    from torch import Tensor


def class_gaussians(training: Training) -> dict[str, Tensor]:
    """means (C, D); whitening (D, D), whose product with its transpose is the inverse covariance within classes.

    Few-shot data have fewer images than dimensions, so the covariance is shrunk (Ledoit & Wolf, 2004).
    """
    import torch

    features, labels = training.features.double(), training.labels
    counts = torch.bincount(labels, minlength=len(training.text)).double()
    sums = torch.zeros(len(training.text), features.shape[1], dtype=features.dtype, device=features.device)
    means = sums.index_add_(0, labels, features) / counts[:, None]
    return {"means": means.float(), "whitening": _whitening(features - means[labels]).float()}


def with_background(training: Training) -> dict[str, Tensor]:
    """As `class_gaussians`; also background_mean (D,) and background_whitening (D, D), of all images as one class."""
    features = training.features.double()
    middle = features.mean(0)
    background = {"background_mean": middle.float(), "background_whitening": _whitening(features - middle).float()}
    return class_gaussians(training) | background


def mahalanobis(features: Tensor, statistics: Statistics) -> Tensor:
    """S(x) = min_c (x - μ_c)ᵀ Σ⁻¹ (x - μ_c) (Lee et al., NeurIPS 2018, eq. 2).

    Args:
        features: (B, D), unit length.
        statistics: of `class_gaussians`.
    Returns:
        (B,) float32, >= 0.
    """
    white, centres = features.float() @ statistics["whitening"], statistics["means"] @ statistics["whitening"]
    squares = white.square().sum(1, keepdim=True) - 2 * white @ centres.mT + centres.square().sum(1)
    return squares.amin(1).clamp(min=0)


def relative_mahalanobis(features: Tensor, statistics: Statistics) -> Tensor:
    """S(x) = the above less the distance to one Gaussian of all images (Ren et al., 2021); of `with_background`."""
    away = (features.float() - statistics["background_mean"]) @ statistics["background_whitening"]
    return mahalanobis(features, statistics) - away.square().sum(1)


def _whitening(centred: Tensor) -> Tensor:
    """(D, D) L with L Lᵀ = Σ⁻¹, of rows (N, D) around zero."""
    import torch
    from sklearn.covariance import ledoit_wolf

    covariance = torch.from_numpy(ledoit_wolf(centred.cpu().numpy(), assume_centered=True)[0]).to(centred)
    values, vectors = torch.linalg.eigh(covariance)
    whitening: Tensor = vectors / values.clamp(min=1e-12).sqrt()
    return whitening
