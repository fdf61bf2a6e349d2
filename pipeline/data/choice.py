"""Choose the images that train, validate and test: by a hash of seed and content, within given parts and groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
    """The place of each image in the seed's order; images of one group follow one another.

    By a hash of seed and content or, in a group, of seed and the group's name, then of its contents; equal contents by
    path.

    Args:
        manifest: MANIFEST table, sorted by path.
    Returns:
        (N,) int64, each of 0 to N - 1 once.
    """
    import numpy as np

    def digest(key: str) -> str:
        return hashlib.sha256(f"{seed}:{_SALT}:{key}".encode()).hexdigest()

    contents = [digest(content) for content in manifest["sha256"]]
    of_group = {group: digest(f"group:{group}") for group in manifest["group"].unique() if group}
    firsts = [of_group.get(group, own) for group, own in zip(manifest["group"], contents, strict=True)]
    order = np.lexsort((np.array(contents, dtype="S64"), np.array(firsts, dtype="S64")))  # stable
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def class_rank(name: str, seed: int) -> str:
    """The key by which a seed orders classes; adding a class does not change the order of the others."""
    return hashlib.sha256(f"{seed}:{_SALT}:class:{name}".encode()).hexdigest()


@dataclass(frozen=True)
class Columns:
    """What the manifest says of its rows: the part and the group of each; "" for none."""

    parts: Sequence[str]
    groups: Sequence[str]


def choose(
    classes: Mapping[str, Mapping[str, Sequence[int]]], given: Columns, places: np.ndarray, split: Split
) -> dict[str, Chosen]:
    """Divide the images of the known classes among training, validation and test.

    Validation comes from images whose given part is `val` or none, then from `train`; training from `train` or none;
    test from `test` or none, whatever is left of it. Validation is chosen for all classes before training is for any,
    since a group may hold several classes: its images serve one purpose, and those that are left of it none.

    Args:
        classes: rows of the manifest by class and source domain.
        given: parts and groups of all rows.
        places: from `ranks`, by which the images of a group follow one another: few groups are used up.
        split: `shots` training images, of each domain (`shots_per` is `class_and_domain`) or of all together (`class`),
            and `validation` images of each domain.
    Returns:
        The rows of each class.
    Raises:
        DataError: there are too few images.
    """
    each = split.shots if split.shots_per == "class_and_domain" else 0
    cells = {
        name: {domain: sorted(rows, key=places.__getitem__) for domain, rows in by_domain.items()}
        for name, by_domain in classes.items()
    }
    validation: dict[str, list[int]] = {}
    for name, by_domain in cells.items():
        validation[name] = []
        for domain, rows in by_domain.items():
            candidates = [row for row in rows if given.parts[row] in (FREE, GIVEN_VALIDATION)]
            candidates += [row for row in rows if given.parts[row] == GIVEN_TRAIN]
            taken = set(candidates[: split.validation])
            able = sum(given.parts[row] in (FREE, GIVEN_TRAIN) and row not in taken for row in rows)
            if len(taken) < split.validation or able < each:
                raise _too_few(f"{domain}/{name}", rows, given.parts, 0, each, split)
            validation[name] += candidates[: split.validation]
    validated = _Used(chain.from_iterable(validation.values()), given.groups)
    train = {
        name: _training(name, by_domain, given.parts, validated, places, each, split)
        for name, by_domain in cells.items()
    }
    trained = _Used(chain.from_iterable(train.values()), given.groups)

    def testing(by_domain: Mapping[str, Sequence[int]]) -> list[int]:
        rows = (row for rows in by_domain.values() for row in rows if given.parts[row] in (FREE, GIVEN_TEST))
        return [row for row in rows if row not in validated and row not in trained]

    return {name: Chosen(validation[name], train[name], testing(cells[name])) for name in cells}


class _Used:
    """Rows that serve a purpose, and all others of their groups."""

    def __init__(self, rows: Iterable[int], groups: Sequence[str]) -> None:
        self.rows = set(rows)
        self._all = groups
        self._groups = {groups[row] for row in self.rows} - {""}

    def __contains__(self, row: int) -> bool:
        return row in self.rows or self._all[row] in self._groups


def _training(
    name: str,
    by_domain: Mapping[str, Sequence[int]],
    parts: Sequence[str],
    validated: _Used,
    places: np.ndarray,
    each: int,
    split: Split,
) -> list[int]:
    chosen: list[int] = []
    left: list[int] = []
    bound = 0  # images that only their group keeps from training
    for domain, rows in by_domain.items():
        able = [row for row in rows if parts[row] in (FREE, GIVEN_TRAIN) and row not in validated.rows]
        training = [row for row in able if row not in validated]
        if len(training) < each:
            raise _too_few(f"{domain}/{name}", rows, parts, len(able) - len(training), each, split)
        chosen += training[:each]
        left += training[each:]
        bound += len(able) - len(training)
    if not each:
        if len(left) < split.shots:
            others = f", and {bound} in groups that validate" if bound else ""
            raise DataError(
                f"{name}: {counted(len(left), 'image')} left in {', '.join(by_domain)} after validation{others}, but "
                f"split.shots is {split.shots}; add images or lower split.shots"
            )
        chosen = sorted(left, key=places.__getitem__)[: split.shots]
    return chosen


def _too_few(where: str, rows: Sequence[int], parts: Sequence[str], bound: int, each: int, split: Split) -> DataError:
    usable = sum(parts[row] != GIVEN_TEST for row in rows)
    given = f", {usable} of them not given for test" if usable < len(rows) else ""
    given += f", {bound} of them left out since their groups validate" if bound else ""
    training_need = f" and {each} for training (split.shots)" if each else ""
    of_groups = " of other groups" if bound else ""
    return DataError(
        f"{where}: {counted(len(rows), 'image')}{given}, but {split.validation} are needed for validation "
        f"(split.validation){training_need}; add images{of_groups} or lower these numbers"
    )


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
