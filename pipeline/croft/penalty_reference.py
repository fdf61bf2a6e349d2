"""Energy-gradient penalty by double backward: automatic differentiation twice, the reference for the closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.croft.adapters import adapt, normalise


def double_backward_penalty(
    images: Tensor,
    text: Tensor,
    weight_image: Tensor,
    weight_text: Tensor,
    ratio_image: Tensor | float,
    ratio_text: Tensor | float,
    *,
    generator: Tensor | None,
    scale: float,
    energy: str,
    gradient: str,
    batch: str,
    entries: str,
    weights: str,
) -> Tensor:
    """The same number as `penalty.energy_gradient_penalty`, with the same arguments; needs autograd switched on.

    Returns:
        (R,), or 0-d without a run axis.
    """
    if weight_image.ndim == 2:
        if isinstance(ratio_image, Tensor):
            ratio_image = ratio_image.reshape(1)
        if isinstance(ratio_text, Tensor):
            ratio_text = ratio_text.reshape(1)
        one = double_backward_penalty(
            images[None], text[None], weight_image[None], weight_text[None], ratio_image, ratio_text,
            generator=None if generator is None else generator[None], scale=scale, energy=energy, gradient=gradient,
            batch=batch, entries=entries, weights=weights,
        )  # fmt: skip
        return one[0]
    runs, width = weight_image.shape[0], weight_image.shape[-1]
    images, text = images.expand(runs, -1, -1), text.expand(runs, -1, -1)
    samples = images.shape[1] if gradient == "sample" else 1
    # A zero perturbation per run (and per row, for "sample") is what the energy is differentiated by.
    zeros = torch.zeros(runs * samples, width, width, dtype=images.dtype, device=images.device)
    delta_image = zeros.requires_grad_()
    delta_text = delta_image if weights == "shared" else torch.zeros_like(zeros).requires_grad_()
    if samples > 1:
        images = images.reshape(runs * samples, 1, width)
        text, weight_image, weight_text, generator, ratio_image, ratio_text = (
            _repeat(value, samples) for value in (text, weight_image, weight_text, generator, ratio_image, ratio_text)
        )
    u = adapt(images, weight_image + delta_image, ratio_image)
    if generator is not None:
        u = normalise(u @ generator + u)
    cosine = u @ adapt(text, weight_text + delta_text, ratio_text).mT
    if energy == "exp-cosine":
        values = torch.exp(scale * cosine)
        function = values.mean((-2, -1)) if batch == "mean" and gradient == "batch" else values.sum((-2, -1))
    else:
        values = -torch.logsumexp(scale * cosine, dim=-1)
        function = values.mean(-1) if batch == "mean" else values.sum(-1)
    wanted = [delta_image] if weights == "shared" else [delta_image, delta_text]
    slopes = torch.autograd.grad(function.sum(), wanted, create_graph=True)
    squares = torch.stack([slope.square() for slope in slopes]).sum(0)
    norms = (squares.mean((-2, -1)) if entries == "mean" else squares.sum((-2, -1))).reshape(runs, samples)
    return norms.mean(-1) if batch == "mean" else norms.sum(-1)


def _repeat(value, times: int):  # type: ignore[no-untyped-def]
    """Repeat each run's tensor for each of its rows."""
    return value.repeat_interleave(times, 0) if isinstance(value, Tensor) and value.ndim > 0 else value
