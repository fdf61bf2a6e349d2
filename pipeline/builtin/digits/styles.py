"""The four domains: four ways of drawing one stroke field as a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from pipeline.builtin.digits.strokes import Field, blend, clouds, distance_to_edge, step

Style = Callable[[Field, np.random.Generator], Field]


def _pick(colours: list[tuple[float, float, float]], rng: np.random.Generator) -> Field:
    return np.clip(np.array(colours[rng.integers(len(colours))]) + rng.uniform(-0.04, 0.04, 3), 0.0, 1.0)


def ink(field: Field, rng: np.random.Generator) -> Field:
    """Pen on ruled paper. Args: (H, W) ink in [0, 1]. Returns: (H, W, 3) in [0, 1]."""
    shape = field.shape
    rows = np.arange(shape[0])[:, None]
    paper = np.ones((*shape, 3)) * _pick([(0.97, 0.95, 0.89), (0.95, 0.95, 0.94), (0.96, 0.92, 0.82)], rng)
    paper += 0.018 * clouds(shape, 0.6, rng)[..., None] + 0.015 * clouds(shape, 9, rng)[..., None]
    spacing = rng.uniform(11, 15)
    line = np.exp(-((((rows + rng.uniform(0, spacing)) % spacing) - spacing / 2) ** 2) / 0.5)
    paper = blend(paper, np.array([0.62, 0.74, 0.88]), 0.55 * np.broadcast_to(line, shape))
    bled = field + 0.05 * clouds(shape, 1.2, rng)
    flow = np.clip(0.88 + 0.10 * clouds(shape, 5, rng), 0.55, 1.0)
    colour = _pick([(0.08, 0.10, 0.38), (0.09, 0.09, 0.11), (0.12, 0.22, 0.55)], rng)
    return blend(paper, colour, flow * step(bled, 0.45, 0.06))


def chalk(field: Field, rng: np.random.Generator) -> Field:
    """Chalk on a board. Args: (H, W) ink in [0, 1]. Returns: (H, W, 3) in [0, 1]."""
    shape = field.shape
    board = np.ones((*shape, 3)) * _pick([(0.13, 0.27, 0.21), (0.16, 0.18, 0.20), (0.11, 0.22, 0.19)], rng)
    wiped = ndimage.gaussian_filter(rng.standard_normal(shape), (2.0, 11.0), mode="wrap")
    board += 0.045 * (wiped / (wiped.std() + 1e-9))[..., None] + 0.015 * clouds(shape, 0.5, rng)[..., None]
    grain = 0.7 * clouds(shape, 0.7, rng) + 0.5 * clouds(shape, 2.0, rng)
    body = step(field + 0.10 * grain, 0.45, 0.07) * np.clip(0.72 + 0.30 * grain, 0.05, 1.0)
    dust = 0.14 * ndimage.gaussian_filter(field, 4.0)
    colour = _pick([(0.95, 0.95, 0.92), (0.95, 0.95, 0.92), (0.97, 0.90, 0.60), (0.95, 0.72, 0.74)], rng)
    return blend(board, colour, np.clip(body + dust, 0.0, 1.0))


def outline(field: Field, rng: np.random.Generator) -> Field:
    """Pencil sketch of the contour alone. Args: (H, W) ink in [0, 1]. Returns: (H, W, 3) in [0, 1]."""
    shape = field.shape
    sheet = np.ones((*shape, 3)) * _pick([(0.93, 0.93, 0.92), (0.88, 0.84, 0.76), (0.84, 0.87, 0.90)], rng)
    sheet += 0.03 * clouds(shape, 0.7, rng)[..., None]
    contour = distance_to_edge(field)
    tone = np.zeros(shape)
    for _ in range(2):  # a sketched line is drawn twice, and never quite in the same place
        shift = rng.uniform(-0.9, 0.9, 2)
        edge = ndimage.shift(contour, shift, order=1, mode="nearest") + 0.45 * clouds(shape, 4, rng)
        pressure = np.clip(0.72 + 0.22 * clouds(shape, 3, rng), 0.15, 1.0)
        tone = np.maximum(tone, pressure * np.exp(-((edge / 0.95) ** 2)))
    hatch = np.sin((np.arange(shape[0])[:, None] + np.arange(shape[1])[None, :]) * 0.9 + rng.uniform(0, 6.3))
    tone = np.maximum(tone, 0.16 * step(hatch, 0.55, 0.1) * step(clouds(shape, 12, rng), 0.2, 0.2))
    return blend(sheet, _pick([(0.20, 0.20, 0.22), (0.30, 0.22, 0.18)], rng), np.clip(tone, 0.0, 1.0))


def neon(field: Field, rng: np.random.Generator) -> Field:
    """Glowing tube on a brick wall. Args: (H, W) ink in [0, 1]. Returns: (H, W, 3) in [0, 1]."""
    shape = field.shape
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    height, width = rng.uniform(8, 11), rng.uniform(17, 23)
    row = rows + rng.uniform(0, height)
    column = columns + rng.uniform(0, width) + width / 2 * (row // height % 2)
    across, down = row % height - height / 2, column % width - width / 2
    mortar = np.maximum(np.exp(-(across**2) / 0.8), np.exp(-(down**2) / 0.8))
    # each brick is one random shade, found by hashing its row and column
    shade = (np.sin((row - height / 2) // height * 12.99 + (column - width / 2) // width * 78.23) * 43758.5) % 1.0
    light = 0.75 + 0.6 * shade + 0.12 * clouds(shape, 0.8, rng) + 0.9 * mortar
    wall = light[..., None] * _pick([(0.20, 0.11, 0.11), (0.15, 0.13, 0.20), (0.11, 0.14, 0.17)], rng)
    colour = _pick([(1.0, 0.15, 0.55), (0.10, 0.85, 1.0), (0.25, 1.0, 0.35), (1.0, 0.55, 0.08), (0.65, 0.25, 1.0)], rng)
    depth = -distance_to_edge(field, 0.42)
    tube = np.exp(-(np.clip(depth, None, 0.0) ** 2) / 1.2)
    core = step(depth, 1.6, 0.35)
    glow = 0.55 * ndimage.gaussian_filter(tube, 3.0) + 0.55 * ndimage.gaussian_filter(tube, 8.0)
    lit = wall * (1.0 + 1.2 * glow[..., None] * colour) + 0.55 * glow[..., None] * colour
    return blend(blend(lit, colour, 0.85 * tube), 0.35 * colour + 0.65, core)


STYLES: dict[str, Style] = {"chalk": chalk, "ink": ink, "neon": neon, "outline": outline}
