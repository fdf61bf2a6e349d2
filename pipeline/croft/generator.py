"""The covariate-shift generator: one matrix that moves adapted image features away from their class."""

from __future__ import annotations

from torch import Tensor

from pipeline.croft.adapters import cross_entropy, logits, normalise


def covariate(image: Tensor, generator: Tensor) -> Tensor:
    """Shifted features z^c = n(z G + z).

    Args:
        image: (R, B, D) normalised image features.
        generator: (R, D, D), the identity at the start.
    Returns:
        (R, B, D) normalised.
    """
    return normalise(image @ generator + image)


def alignment(shifted: Tensor, reference: Tensor, labels: Tensor) -> Tensor:
    """Mean over all pairs of [y_i = y_j] ⟨shifted_i, reference_j⟩.

    Args:
        shifted, reference: (R, B, D) normalised.
        labels: (R, B) or (B,) integers.
    Returns:
        (R,) in [-1, 1].
    """
    same = (labels.unsqueeze(-1) == labels.unsqueeze(-2)).to(shifted.dtype)  # (R, B, B)
    # One axis after the other: a full reduction of a single run would be split over threads and round differently.
    return (same * (shifted @ reference.mT)).mean(-1).mean(-1)


def generator_loss(
    image: Tensor, text: Tensor, generator: Tensor, labels: Tensor, lambda_1: Tensor | float, scale: float
) -> Tensor:
    """What the generator minimises: CE(s z^c z_Tᵀ, y) + λ1 mean_ij [y_i = y_j] ⟨z^c_i, z_I,j⟩.

    Args:
        image: (R, B, D) z_I.
        text: (R, C, D) z_T.
        generator: (R, D, D).
        labels: (R, B) int64.
        lambda_1: (R,) or a number, >= 0.
        scale: s > 0.
    Returns:
        (R,).
    """
    shifted = covariate(image, generator)
    return cross_entropy(logits(shifted, text, scale), labels) + lambda_1 * alignment(shifted, image, labels)
