"""Draw stroke fields as pictures in random generic styles, a whole batch at a time.

The styles are generic on purpose: the domains of the built-in data set (`pipeline/builtin/digits/styles.py`) are
drawn by other code, so that they are a real shift for the model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Pictures(NamedTuple):
    """A batch: `images` (B, 3, S, S) float32 in [0, 1]; `hollow` (B,) bool, contour alone; `light` (B,) bool."""

    images: Tensor
    hollow: Tensor
    light: Tensor


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def warp(fields: Tensor, generator: torch.Generator) -> Tensor:
    """Random pose and elastic bend.

    Args:
        fields: (B, 1, S, S) ink in [0, 1].
        generator: source of randomness.
    Returns:
        (B, 1, S, S) ink in [0, 1].
    """
    batch, size = len(fields), fields.shape[-1]
    angle = torch.deg2rad(_uniform(-12, 12, (batch,), generator))
    scale = _uniform(0.85, 1.2, (batch, 1), generator) * _uniform(0.9, 1.1, (batch, 2), generator)
    shear = _uniform(-0.2, 0.2, (batch,), generator)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin + shear], -1), torch.stack([sin, cos], -1)], -2)  # (B, 2, 2)
    shift = _uniform(-0.1, 0.1, (batch, 2, 1), generator)
    theta = torch.cat([turn * scale[:, None, :], shift], -1)  # (B, 2, 3)
    grid = F.affine_grid(theta, [batch, 1, size, size], align_corners=False)  # (B, S, S, 2)
    bend = 0.03 * torch.randn((batch, 2, 5, 5), generator=generator)
    bend = F.interpolate(bend, size=(size, size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    return F.grid_sample(fields, grid + bend, mode="bilinear", padding_mode="zeros", align_corners=False)


def texture(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """Noise of a random coarseness for each image: (batch, 1, size, size), zero mean, about unit deviation."""
    layers = []
    for cells in (4, 11, size):
        noise = torch.randn((batch, 1, cells, cells), generator=generator)
        layers.append(F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False))
    share = torch.softmax(3 * torch.randn((batch, len(layers), 1, 1), generator=generator), dim=1)
    return (torch.cat(layers, 1) * share).sum(1, keepdim=True) / share.square().sum(1, keepdim=True).sqrt()


def paint(fields: Tensor, hollow_share: float, generator: torch.Generator) -> Pictures:
    """Paint strokes in random colours on random textured grounds.

    Args:
        fields: (B, 1, S, S) ink in [0, 1], already warped.
        hollow_share: probability in [0, 1] of drawing only the contour of the stroke.
        generator: source of randomness.
    Returns:
        The pictures and which of them are hollow or light on dark.
    """
    batch, _, size, _ = fields.shape
    per_image = (batch, 1, 1, 1)
    edge = _uniform(0.32, 0.58, per_image, generator)
    rough = fields + 0.05 * torch.rand(per_image, generator=generator) * texture(batch, size, generator)
    body = torch.sigmoid((rough - edge) / _uniform(0.03, 0.12, per_image, generator))
    contour = torch.exp(-(((rough - edge) / _uniform(0.08, 0.16, per_image, generator)) ** 2))
    hollow = torch.rand(per_image, generator=generator) < hollow_share
    alpha = torch.where(hollow, contour, body)
    wear = 1 - 0.5 * torch.rand(per_image, generator=generator) * texture(batch, size, generator).clamp(0, 2)
    alpha = (alpha * wear.clamp(0.1, 1.0)).clamp(0, 1)

    light = torch.rand(per_image, generator=generator) < 0.5
    dark_tone = _uniform(0.0, 0.35, (batch, 3, 1, 1), generator)
    light_tone = _uniform(0.6, 1.0, (batch, 3, 1, 1), generator)
    ground, stroke = torch.where(light, dark_tone, light_tone), torch.where(light, light_tone, dark_tone)
    ground = ground + 0.07 * torch.rand(per_image, generator=generator) * texture(batch, size, generator)
    images = ground + (stroke - ground) * alpha
    images = images + 0.04 * torch.rand(per_image, generator=generator) * torch.randn(images.shape, generator=generator)
    return Pictures(images.clamp(0, 1), hollow.flatten(), light.flatten())
