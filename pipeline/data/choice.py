"""Which images of a class train, validate and test: by a hash of seed and content, within the parts that were given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.tables import PARTS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_SALT = "croft-split-1"  # no part of it may depend on the target: the same images then serve in every fit of a seed
FREE = ""
GIVEN_TRAIN, GIVEN_VALIDATION, GIVEN_TEST = PARTS
"""The manifest's column `part`: what an image was given for, or FREE."""


@dataclass(frozen=True)
class Chosen:
    """Rows of the manifest of one class, by what they are for."""

    validation: list[int]
    train: list[int]
    test: list[int]


def ranks(manifest: pd.DataFrame, seed: int) -> np.ndarray:
    """The place of each image in the seed's order: by a hash of seed and content, equal contents by path.

    Args:
        manifest: MANIFEST table, sorted by path.
    Returns:
        (N,) int64, each of 0 to N - 1 once.
    """
    import numpy as np

    digests = [hashlib.sha256(f"{seed}:{_SALT}:{content}".encode()).hexdigest() for content in manifest["sha256"]]
    order = np.argsort(np.array(digests, dtype="S64"), kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def class_rank(name: str, seed: int) -> str:
    """What the seed orders classes by; a class that is added moves no other one's place against the rest."""
    return hashlib.sha256(f"{seed}:{_SALT}:class:{name}".encode()).hexdigest()


def choose(
    groups: Mapping[str, Sequence[int]],
    parts: Sequence[str],
    places: np.ndarray,
    *,
    name: str,
    shots: int,
    shots_per: str,
    validation: int,
) -> Chosen:
    """Divide the images of one class among training, validation and test.

    Validation comes from images whose given part is `val` or none, then from `train`; training from `train` or none;
    test from `test` or none, whatever is left of it.

    Args:
        groups: rows of the manifest by source domain.
        parts: given part of each row of the manifest.
        places: from `ranks`.
        name: of the class, for errors.
        shots: training images, of each domain (`shots_per` is `class_and_domain`) or of all together (`class`).
        validation: images of each domain.
    Raises:
        DataError: there are too few images.
    """
    each = shots if shots_per == "class_and_domain" else 0
    validating: list[int] = []
    chosen: list[int] = []
    left: list[int] = []  # for training
    tested: list[int] = []
    for domain, rows in groups.items():
        ordered = sorted(rows, key=lambda row: places[row])
        candidates = [row for row in ordered if parts[row] in (FREE, GIVEN_VALIDATION)]
        candidates += [row for row in ordered if parts[row] == GIVEN_TRAIN]
        held = set(candidates[:validation])
        training = [row for row in ordered if parts[row] in (FREE, GIVEN_TRAIN) and row not in held]
        if len(held) < validation or len(training) < each:
            usable = sum(parts[row] != GIVEN_TEST for row in ordered)
            given = f", {usable} of them not given for test" if usable < len(ordered) else ""
            raise DataError(
                f"{domain}/{name}: has {len(ordered)} images{given}, but split needs {validation} for validation"
                + (f" and {each} shots" if each else "")
            )
        validating += candidates[:validation]
        chosen += training[:each]
        left += training[each:]
        tested += [row for row in ordered if parts[row] in (FREE, GIVEN_TEST) and row not in held]
    if not each:
        if len(left) < shots:
            raise DataError(
                f"{name}: {len(left)} images are left in {', '.join(groups)} after validation, but split.shots "
                f"is {shots}"
            )
        chosen = sorted(left, key=lambda row: places[row])[:shots]
    trained = set(chosen)
    return Chosen(validating, chosen, [row for row in tested if row not in trained])


def testable(parts: pd.Series, places: pd.Series) -> pd.Series:
    """Whether an image may be tested on where nothing trains: in a held-out domain, or in a pool.

    A place that was given a test part is tested on that and on images without a part (the convention of few-shot files
    with train, val and test lists); one without is tested on all images (DomainBed's convention for held-out domains).

    Args:
        parts: given part of each image.
        places: the domain or pool of each image.
    """
    given = (parts == GIVEN_TEST).groupby(places).transform("any")
    return ~given | parts.isin([FREE, GIVEN_TEST])
