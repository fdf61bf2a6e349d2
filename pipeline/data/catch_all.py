"""Class names that mean "none of the others"."""

from __future__ import annotations

from pipeline.data.synonyms import normalised, spelling

UNKNOWN = "unknown"
"""What predictions say of an image of no known class; `pipeline.serving.predictor` writes it."""

_NAMES = frozenset(
    normalised(name)
    for name in (
        *(UNKNOWN, "unidentified", "undefined", "unlabelled", "unlabeled"),
        *("null", "none", "none of the above", "nothing"),
        *("other", "background", "background_google", "clutter", "misc", "miscellaneous"),  # Caltech's names among them
    )
)


def says_unknown(name: str) -> bool:
    """Whether a prediction of this class could not be told from the answer "unknown"."""
    return spelling(name) == UNKNOWN


def is_catch_all(name: str) -> bool:
    """Whether a class of this name usually holds whatever belongs to no other class."""
    return normalised(name) in _NAMES
