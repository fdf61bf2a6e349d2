"""Captions for a batch: one template for the whole batch, so that two captions never mean the same picture."""

from __future__ import annotations

import torch
from torch import Tensor

PLAIN = (
    "a photo of the digit {}.",
    "a photo of a {}.",
    "a photo of the number {}.",
    "the digit {}.",
    "the number {}.",
    "a handwritten {}.",
    "a picture of a {}.",
    "an image of the {}.",
    "{}",
)
STYLED = (
    "a photo of a {style} {}.",
    "the digit {} in {style}.",
    "a {style} {}.",
    "a picture of the {style} number {}.",
)
STYLED_SHARE = 0.15


def caption(words: list[str], hollow: Tensor, light: Tensor, generator: torch.Generator) -> tuple[list[str], Tensor]:
    """Caption a batch.

    Args:
        words: B names of what is shown.
        hollow: (B,) bool, only the contour is drawn.
        light: (B,) bool, light strokes on a dark ground.
        generator: source of randomness.
    Returns:
        The U distinct captions, sorted, and (B,) int64: which of them each picture has.
    """
    if float(torch.rand((), generator=generator)) < STYLED_SHARE:
        template = STYLED[int(torch.randint(len(STYLED), (), generator=generator))]
        tones = ["light" if up else "dark" for up in light]
        lines = ["outline" if empty else "ink" for empty in hollow]
        styles = [f"{tone} {line}" for tone, line in zip(tones, lines, strict=True)]
    else:
        template = PLAIN[int(torch.randint(len(PLAIN), (), generator=generator))]
        styles = [""] * len(words)
    captions = [template.format(word, style=style) for word, style in zip(words, styles, strict=True)]
    distinct = sorted(set(captions))
    place = {text: row for row, text in enumerate(distinct)}
    return distinct, torch.tensor([place[text] for text in captions])
