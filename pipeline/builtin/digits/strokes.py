"""From an 8x8 digit to a smooth stroke on a canvas, and the noise fields that the domains draw with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float64]


def place(image: npt.NDArray[np.float32], size: int, rng: np.random.Generator) -> Field:
    """Draw a small digit smoothly on a canvas, slightly turned, scaled, sheared and moved.

    Args:
        image: (8, 8) ink in [0, 1].
        size: side of the canvas, pixels.
        rng: where the pose comes from.
    Returns:
        (size, size) ink in [0, 1]; 0.5 marks the edge of the stroke.
    """
    angle = np.deg2rad(rng.uniform(-9, 9))
    scale = 11.0 / size * rng.uniform(0.92, 1.12)  # source pixels per canvas pixel: about 1.5 source pixels of margin
    shear = rng.uniform(-0.12, 0.12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * turn @ np.array([[1.0, 0.0], [shear, 1.0]])
    centre = np.array([3.5, 3.5]) + rng.uniform(-0.6, 0.6, 2)
    offset = centre - matrix @ np.full(2, (size - 1) / 2)
    drawn = ndimage.affine_transform(
        image.astype(np.float64), matrix, offset, (size, size), order=3, mode="constant", cval=0.0
    )
    soft: Field = ndimage.gaussian_filter(drawn, size / 64)
    return np.clip(soft, 0.0, 1.0)


def step(field: Field, edge: float, softness: float) -> Field:
    """Smooth threshold of a field: 0 well below `edge`, 1 well above it; `softness` in the field's unit."""
    return 1.0 / (1.0 + np.exp(-np.clip((field - edge) / softness, -50, 50)))


def distance_to_edge(field: Field, edge: float = 0.45) -> Field:
    """Signed distance to the stroke's edge in pixels: negative inside the stroke."""
    inside = field > edge
    signed: Field = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    return signed


def clouds(shape: tuple[int, int], width: float, rng: np.random.Generator) -> Field:
    """Smooth noise of zero mean and unit deviation whose blobs are about `width` pixels wide."""
    noise: Field = ndimage.gaussian_filter(rng.standard_normal(shape), width, mode="wrap")
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-9))


def blend(below: Field, above: Field, alpha: Field) -> Field:
    """Lay a colour over an image: (H, W, 3) below, (H, W, 3) or (3,) above, (H, W) alpha in [0, 1]; (H, W, 3)."""
    return below + (above - below) * alpha[..., None]
