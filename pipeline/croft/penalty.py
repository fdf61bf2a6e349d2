"""Energy-gradient penalty (energy distribution reshaping): the squared norm of the energy's gradient, in closed form.

For an energy of the cosines U Vᵀ, backpropagating by hand to the rows before the adapter gives one gradient row q_i per
feature row x_i, and the gradient with respect to the D x D weight is Σ_i q_i x_iᵀ. Its squared norm is a sum over pairs
⟨x_i, x_k⟩ ⟨q_i, q_k⟩, so one ordinary backward through these rows trains it; nothing is differentiated twice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.croft.adapters import EPSILON, Weights, blend, normalise, per_run
from pipeline.croft.options import Penalty, Ratios
from pipeline.croft.penalty_reference import double_backward_penalty


def energy_gradient_penalty(
    images: Tensor,
    text: Tensor,
    weights: Weights,
    ratios: Ratios,
    penalty: Penalty,
    *,
    blended: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Squared norm of the energy's gradient with respect to the adapter weights (paper, L_e).

    Args:
        images: (R, N, D) or (N, D) rows that enter the image adapter.
        text: (R, C, D) or (C, D) rows that enter the text adapter.
        weights: (R, D, D) or (D, D), used as x Wᵀ; with a generator G the energy is that of z^c = n(z G + z).
        ratios: of the adapters.
        penalty: how it is taken.
        blended: `adapters.blend` of images (R, N, D) and of text (R, C, D), where the caller has them already: one
            product with each weight, forward and backward, then serves all terms of a loss. The reference ignores it.
    Returns:
        (R,), >= 0; 0-d without a run axis. Differentiable in weights, images and generator.
    """
    if penalty.form == "double-backward":
        return double_backward_penalty(images, text, weights, ratios, penalty)
    generator = weights.generator
    if weights.image.ndim == 3:  # one shape for all that follows
        images = images.expand(weights.image.shape[0], -1, -1)
        text = text.expand(weights.image.shape[0], -1, -1)
    if blended is None:
        blended = blend(images, weights.image, ratios.image), blend(text, weights.text, ratios.text)
    before_image, before_text = blended  # (R, N, D), (R, C, D)
    adapted = normalise(before_image)
    u, v = adapted, normalise(before_text)
    shifted = None
    if generator is not None:
        shifted = adapted @ generator + adapted
        u = normalise(shifted)
    cosine = u @ v.mT  # (R, N, C)
    slope = _slope(cosine, penalty)  # dE_i / dcos_ij
    rows, classes = cosine.shape[-2:]

    def to_rows(above: Tensor) -> Tensor:
        if shifted is not None and generator is not None:
            above = _through_norm(shifted, above)
            above = above @ generator.mT + above
        return per_run(ratios.image) * _through_norm(before_image, above)

    shared = penalty.weights == "shared"
    if penalty.gradient == "batch":
        if penalty.batch == "mean":
            slope = slope / (rows * classes if penalty.energy == "exp-cosine" else rows)
        q_image = to_rows(slope @ v)  # (R, N, D)
        q_text = per_run(ratios.text) * _through_norm(before_text, slope.mT @ u)  # (R, C, D)
        if shared:
            total = _squared_norm(torch.cat([images, text], -2), torch.cat([q_image, q_text], -2))
        else:
            total = _squared_norm(images, q_image) + _squared_norm(text, q_text)
    else:
        q_image = to_rows(slope @ v)
        each = _sample_norms(images, text, q_image, u, before_text, cosine, slope, ratios.text, shared)
        total = each.mean(-1) if penalty.batch == "mean" else each.sum(-1)
    return total / weights.image.shape[-1] ** 2 if penalty.entries == "mean" else total


def _slope(cosine: Tensor, penalty: Penalty) -> Tensor:
    """dE_i / dcos_ij, (R, N, C)."""
    if penalty.energy == "exp-cosine":
        return penalty.scale * torch.exp(penalty.scale * cosine)
    return -penalty.scale * torch.softmax(penalty.scale * cosine, dim=-1)


def _through_norm(before: Tensor, above: Tensor) -> Tensor:
    """Backpropagate rows through n(a) = a / (‖a‖ + ε): g/m - a (a·g) / (‖a‖ m²), m = ‖a‖ + ε."""
    norm: Tensor = torch.linalg.vector_norm(before, dim=-1, keepdim=True)
    divisor = norm + EPSILON
    along = (before * above).sum(-1, keepdim=True)
    return above / divisor - before * (along / (norm * divisor**2))


def _squared_norm(rows: Tensor, gradients: Tensor) -> Tensor:
    """‖Σ_i g_i x_iᵀ‖² of (R, n, D) rows x and gradients g -> (R,)."""
    count, width = rows.shape[-2:]
    grams = 2 * count <= width  # they cost 4 n² D, the D x D product 2 n D²
    values = (rows @ rows.mT) * (gradients @ gradients.mT) if grams else (gradients.mT @ rows).square()
    # One axis after the other: a full reduction of a single run would be split over threads and round differently.
    return values.sum(-1).sum(-1)


def _sample_norms(
    images: Tensor, text: Tensor, q_image: Tensor, u: Tensor, before_text: Tensor, cosine: Tensor, slope: Tensor,
    ratio_text: Tensor | float, shared: bool,
) -> Tensor:  # fmt: skip
    """Squared gradient norm of each row's energy, (R, N), without the (R, N, C, D) tensor of text gradient rows.

    Row i's gradient row for class j is r_t w_ij (u_i/m_j - α_j c_ij b_j), with b_j the text row before normalising,
    m_j = ‖b_j‖ + ε, α_j = 1 / (‖b_j‖ m_j²), c_ij = b_j·u_i, w the slope; pairwise products need only Gram matrices.
    """
    share = per_run(ratio_text)
    norm: Tensor = torch.linalg.vector_norm(before_text, dim=-1).unsqueeze(-2)  # (R, 1, C)
    divisor = norm + EPSILON
    plain = slope / divisor
    along = slope * cosine / (norm * divisor)  # w_ij α_j c_ij, since c_ij = cos_ij m_j
    twice = along * cosine * divisor  # w_ij α_j c_ij²
    gram = text @ text.mT  # (R, C, C)
    image_part = images.square().sum(-1) * q_image.square().sum(-1)
    text_part = (
        u.square().sum(-1) * ((plain @ gram) * plain).sum(-1)
        - 2 * ((plain @ gram) * twice).sum(-1)
        + ((along @ (gram * (before_text @ before_text.mT))) * along).sum(-1)
    )
    total: Tensor = image_part + (share * share * text_part.unsqueeze(-1)).squeeze(-1)
    if shared:
        inner = plain * (q_image * u).sum(-1, keepdim=True) - along * (q_image @ before_text.mT)  # (R, N, C)
        total = total + 2 * (share * (images @ text.mT) * inner).sum(-1)
    return total
