"""Energy-gradient penalty by double backward: automatic differentiation twice, the reference for the closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.croft.adapters import Weights, adapt, normalise
from pipeline.croft.options import Penalty, Ratios


def double_backward_penalty(images: Tensor, text: Tensor, weights: Weights, ratios: Ratios, penalty: Penalty) -> Tensor:
    """The same number as `penalty.energy_gradient_penalty`, with the same arguments; needs autograd switched on.

    Returns:
        (R,), or 0-d without a run axis.
    """
    if weights.image.ndim == 2:
        stacked = Weights(*(None if matrix is None else matrix[None] for matrix in weights))  # type: ignore[arg-type]
        flat = Ratios(*(ratio.reshape(1) if isinstance(ratio, Tensor) else ratio for ratio in ratios))
        return double_backward_penalty(images[None], text[None], stacked, flat, penalty)[0]
    runs, width = weights.image.shape[0], weights.image.shape[-1]
    images, text = images.expand(runs, -1, -1), text.expand(runs, -1, -1)
    samples = images.shape[1] if penalty.gradient == "sample" else 1
    shared = penalty.weights == "shared"
    # A zero perturbation per run (and per row, for "sample") is what the energy is differentiated by.
    zeros = torch.zeros(runs * samples, width, width, dtype=images.dtype, device=images.device)
    delta_image = zeros.requires_grad_()
    delta_text = delta_image if shared else torch.zeros_like(zeros).requires_grad_()
    if samples > 1:
        images = images.reshape(runs * samples, 1, width)
        text = _repeat(text, samples)
        weights = Weights(*(_repeat(matrix, samples) for matrix in weights))
        ratios = Ratios(*(_repeat(ratio, samples) for ratio in ratios))
    u = adapt(images, weights.image + delta_image, ratios.image)
    if weights.generator is not None:
        u = normalise(u @ weights.generator + u)
    cosine = u @ adapt(text, weights.text + delta_text, ratios.text).mT
    if penalty.energy == "exp-cosine":
        values = torch.exp(penalty.scale * cosine)
        mean = penalty.batch == "mean" and penalty.gradient == "batch"
        function = values.mean((-2, -1)) if mean else values.sum((-2, -1))
    else:
        values = -torch.logsumexp(penalty.scale * cosine, dim=-1)
        function = values.mean(-1) if penalty.batch == "mean" else values.sum(-1)
    slopes = torch.autograd.grad(
        function.sum(), [delta_image] if shared else [delta_image, delta_text], create_graph=True
    )
    squares = torch.stack([slope.square() for slope in slopes]).sum(0)
    norms = (squares.mean((-2, -1)) if penalty.entries == "mean" else squares.sum((-2, -1))).reshape(runs, samples)
    return norms.mean(-1) if penalty.batch == "mean" else norms.sum(-1)


def _repeat(value, times: int):  # type: ignore[no-untyped-def]
    """Repeat each run's tensor for each of its rows."""
    return value.repeat_interleave(times, 0) if isinstance(value, Tensor) and value.ndim > 0 else value
