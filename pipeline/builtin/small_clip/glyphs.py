"""What the built-in CLIP learns to read: held-back handwriting, and glyphs of the fonts that matplotlib carries."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.builtin.handwriting import CLASS_NAMES, load

CANVAS = 32  # pixels, the model's input
_FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"),
)
# letters teach that not every glyph is a digit; the ones that look like a digit would teach the wrong thing
_LETTERS = "ACEFHJKMNPRTUVWXY"


class Glyphs(NamedTuple):
    """Stroke fields and what they show.

    `fields` (M, 1, 32, 32) float32 ink in [0, 1]; `words` the name of each word id; `word_ids` (M,) int64;
    `weights` (M,) float32, how often each is drawn.
    """

    fields: Tensor
    words: tuple[str, ...]
    word_ids: Tensor
    weights: Tensor


def handwriting() -> tuple[Tensor, Tensor]:
    """The digits held back for this model: (351, 1, 32, 32) float32 ink in [0, 1], and (351,) int64 digits."""
    digits = load("pretraining")
    small = F.pad(torch.from_numpy(digits.images)[:, None], (2, 2, 2, 2))  # (N, 1, 12, 12)
    fields = F.interpolate(small, size=(CANVAS, CANVAS), mode="bicubic", align_corners=False).clamp(0, 1)
    return fields, torch.from_numpy(digits.labels)


def _font_glyph(font: Path, character: str) -> Tensor:
    from PIL import Image, ImageDraw, ImageFilter, ImageFont

    page = Image.new("L", (CANVAS, CANVAS), 0)
    type_ = ImageFont.truetype(str(font), 27)
    ImageDraw.Draw(page).text((CANVAS / 2, CANVAS / 2), character, fill=255, font=type_, anchor="mm")
    soft = page.filter(ImageFilter.GaussianBlur(1.3))  # as soft as 8x8 handwriting brought to this size
    return torch.from_numpy(np.asarray(soft, dtype=np.float32) / 255)[None]


def stock(handwritten: float, letters: float) -> Glyphs:
    """Every stroke field the model may see.

    Args:
        handwritten: share of handwritten digits among what is drawn, in [0, 1].
        letters: share of printed letters; the rest are printed digits.
    Returns:
        The fields with their names and weights.
    """
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    written, digits = handwriting()
    characters = "".join(str(digit) for digit in range(10)) + _LETTERS
    printed = torch.stack(
        [_font_glyph(folder / f"{name}.ttf", character) for name in _FONTS for character in characters]
    )
    printed_ids = torch.arange(len(characters)).repeat(len(_FONTS))
    is_digit = printed_ids < 10
    printed_digits = 1.0 - handwritten - letters
    weights = torch.where(is_digit, printed_digits / is_digit.sum(), letters / (~is_digit).sum())
    return Glyphs(
        fields=torch.cat([written, printed]),
        words=(*CLASS_NAMES, *(f"letter {letter.lower()}" for letter in _LETTERS)),
        word_ids=torch.cat([digits, printed_ids]),
        weights=torch.cat([torch.full((len(written),), handwritten / len(written)), weights]).float(),
    )
