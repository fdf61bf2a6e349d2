"""Choose the images of a class that train, validate and test: by a hash of seed and content, within the given parts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.phrases import counted
from pipeline.tables import PARTS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from pipeline.params import Split

_SALT = "croft-split-1"  # no part of it may depend on the target: the same images then serve in every fit of a seed
FREE = ""
GIVEN_TRAIN, GIVEN_VALIDATION, GIVEN_TEST = PARTS
"""Values of the manifest's column `part`: the part that an image was given, or FREE."""


@dataclass(frozen=True)
class Chosen:
    """Rows of the manifest of one class, by their purpose."""

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
    """The key by which a seed orders classes; adding a class does not change the order of the others."""
    return hashlib.sha256(f"{seed}:{_SALT}:class:{name}".encode()).hexdigest()


def choose(
    groups: Mapping[str, Sequence[int]], parts: Sequence[str], places: np.ndarray, split: Split, *, name: str
) -> Chosen:
    """Divide the images of one class among training, validation and test.

    Validation comes from images whose given part is `val` or none, then from `train`; training from `train` or none;
    test from `test` or none, whatever is left of it.

    Args:
        groups: rows of the manifest by source domain.
        parts: given part of each row of the manifest.
        places: from `ranks`.
        split: `shots` training images, of each domain (`shots_per` is `class_and_domain`) or of all together (`class`),
            and `validation` images of each domain.
        name: of the class, for errors.
    Raises:
        DataError: there are too few images.
    """
    shots, validation = split.shots, split.validation
    each = shots if split.shots_per == "class_and_domain" else 0
    validating: list[int] = []
    chosen: list[int] = []
    left: list[int] = []  # for training, once validation is chosen
    tested: list[int] = []
    for domain, rows in groups.items():
        ordered = sorted(rows, key=lambda row: places[row])
        candidates = [row for row in ordered if parts[row] in (FREE, GIVEN_VALIDATION)]
        candidates += [row for row in ordered if parts[row] == GIVEN_TRAIN]
        validated = set(candidates[:validation])
        training = [row for row in ordered if parts[row] in (FREE, GIVEN_TRAIN) and row not in validated]
        if len(validated) < validation or len(training) < each:
            usable = sum(parts[row] != GIVEN_TEST for row in ordered)
            given = f", {usable} of them not given for test" if usable < len(ordered) else ""
            training_need = f" and {each} for training (split.shots)" if each else ""
            raise DataError(
                f"{domain}/{name}: {counted(len(ordered), 'image')}{given}, but {validation} are needed for validation "
                f"(split.validation){training_need}; add images or lower these numbers"
            )
        validating += candidates[:validation]
        chosen += training[:each]
        left += training[each:]
        tested += [row for row in ordered if parts[row] in (FREE, GIVEN_TEST) and row not in validated]
    if not each:
        if len(left) < shots:
            raise DataError(
                f"{name}: {counted(len(left), 'image')} left in {', '.join(groups)} after validation, but split.shots "
                f"is {shots}; add images or lower split.shots"
            )
        chosen = sorted(left, key=lambda row: places[row])[:shots]
    trained = set(chosen)
    return Chosen(validating, chosen, [row for row in tested if row not in trained])


def testable(parts: pd.Series, places: pd.Series) -> pd.Series:
    """Whether an image may be used for testing where nothing trains: in a held-out domain, or in a pool.

    If any image of a domain or pool was given for test, only those and images without a part are tested on (the
    convention of few-shot files with train, val and test lists); otherwise all are (DomainBed's convention for held-out
    domains).

    Args:
        parts: given part of each image.
        places: the domain or pool of each image.
    """
    given = (parts == GIVEN_TEST).groupby(places).transform("any")
    return ~given | parts.isin([FREE, GIVEN_TEST])
