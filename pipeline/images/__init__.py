"""Untrusted images: formats, decoding, and the clean view, with numpy and Pillow only.

Training features and production predictions share this code, so that both see the same pixels.
"""

from pipeline.images.decode import (
    Decoded,
    check_side,
    check_size,
    check_whole,
    damaged,
    decode,
    missing_decoder,
    open_rgb,
    readable,
    to_rgb,
)
from pipeline.images.formats import FORMATS, SHOWN, SUFFIXES, is_image
from pipeline.images.view import centre_square

__all__ = [
    "FORMATS",
    "SHOWN",
    "SUFFIXES",
    "Decoded",
    "centre_square",
    "check_side",
    "check_size",
    "check_whole",
    "damaged",
    "decode",
    "is_image",
    "missing_decoder",
    "open_rgb",
    "readable",
    "to_rgb",
]
