"""The part of the model card that prediction needs, checked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DataError

FORMAT = 1
_MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class ServingCard:
    """What the graph does not hold itself.

    Attributes:
        classes: names in the order of the probabilities.
        image_size: side S in pixels.
        threshold: an image is unknown when its score is larger; the graph holds the same number.
    """

    classes: tuple[str, ...]
    image_size: int
    threshold: float


def read_card(path: Path) -> ServingCard:
    """Read card.json.

    Raises:
        DataError: the file is missing, is not a card, or has another format.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected the card next to the exported graph")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES} bytes; not a model card")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not readable JSON: {error}") from None
    return _checked(content, str(path))


def _checked(content: Any, name: str) -> ServingCard:
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{name}: expected a card of format {FORMAT}; export the model again")
    classes, size, threshold = content.get("classes"), content.get("image_size"), content.get("threshold")
    if not isinstance(classes, list) or len(classes) < 2 or not all(isinstance(item, str) for item in classes):
        raise DataError(f"{name}: classes: expected a list of two or more names")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise DataError(f"{name}: image_size: expected a positive whole number, found {size!r}")
    if not isinstance(threshold, int | float) or isinstance(threshold, bool) or not math.isfinite(threshold):
        raise DataError(f"{name}: threshold: expected a finite number, found {threshold!r}")
    return ServingCard(tuple(classes), size, float(threshold))
