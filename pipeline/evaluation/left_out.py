"""Leave classes out: validation images of known classes stand in for unknown ones, so that no unknown image is needed.

The known classes are cut into folds. Each fold in turn is unknown: methods train on the other classes, and an open-set
score is good where it puts validation images of the fold above those of the classes that were trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DataError
from pipeline.splits import known_by_fit
from pipeline.tables import TEST_UNKNOWN_ID, TRAIN, UNKNOWN_CLASSES, VALIDATION

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.detection.scores.spaces import Option
    from pipeline.features import Features
    from pipeline.fits import Head

FEWEST = 2  # classes that a fit knows, and that a fold leaves out unless there are too few for that


def fold_name(target: str, fold: int) -> str:
    """What a fold is called as a target, in tables and progress lines."""
    return f"{target}, fold {fold + 1}"


def left_out_splits(splits: pd.DataFrame, folds: int) -> pd.DataFrame:
    """A split for each fold of each fit, from training and validation rows alone.

    Args:
        splits: SPLITS table; rows of other roles are never looked at.
        folds: at least 2; fewer are made where the classes do not suffice.
    Returns:
        SPLITS table, targets named by `fold_name`: TRAIN and VALIDATION rows of the classes that stay, with labels of
        their own, and the other validation rows as TEST_UNKNOWN_ID.
    Raises:
        DataError: a fit knows fewer than three classes.
    """
    import pandas as pd

    seen = splits[splits["role"].isin([TRAIN, VALIDATION])]
    parts = []
    for (target, seed), classes in known_by_fit(seen).items():
        rows = seen[(seen["target"] == target) & (seen["seed"] == seed)]
        for fold, out in enumerate(class_folds(classes, folds, seed)):
            labels = {name: number for number, name in enumerate(name for name in classes if name not in out)}
            kept = rows["class"].isin(list(labels))
            part = rows[kept | (rows["role"] == VALIDATION)].copy()
            part["label"] = part["class"].map(labels).fillna(-1).astype("int64")
            unknown = part["label"] < 0
            part.loc[unknown, "role"], part.loc[unknown, "open_set"] = TEST_UNKNOWN_ID, UNKNOWN_CLASSES
            parts.append(part.assign(target=fold_name(target, fold)))
    return pd.concat(parts, ignore_index=True)


def class_folds(classes: Sequence[str], folds: int, seed: int) -> list[set[str]]:
    """Cut classes into folds of nearly one size, by a seed.

    Raises:
        DataError: there are fewer than three classes, so that none can be left out and two stay.
    """
    if len(classes) < FEWEST + 1:
        raise DataError(
            f"leave-classes-out: expected three known classes or more, found {len(classes)}; name export.score"
        )
    count = max(2, min(folds, len(classes) // FEWEST))
    order = np.random.default_rng(seed).permutation(len(classes))
    return [{classes[place] for place in part} for part in np.array_split(order, count)]


def left_out_aurocs(
    fits: Iterable[tuple[str, str, int, Head]],
    splits: pd.DataFrame,
    features: Features,
    options: Sequence[Option],
    words: np.ndarray | None = None,
) -> pd.DataFrame:
    """AUROC of every option on every fold.

    Args:
        fits: method, target, seed and head of fits on the splits of `left_out_splits`.
        splits: those.
        features: of their images.
        options: scores.
        words: (W, D) raw text features, for the scores that need them.
    Returns:
        A row per fit and option: method, target, seed, option, auroc.
    """
    import pandas as pd

    from pipeline.detection.scores.spaces import BOTH, HEAD

    of_fit = [option for option in options if option.space in (HEAD, BOTH)]
    others = [option for option in options if option not in of_fit]  # the same for every method
    shared: dict[tuple[str, int], dict[str, float]] = {}
    rows = []
    for method, target, seed, head in fits:
        split = splits[(splits["target"] == target) & (splits["seed"] == seed)]
        if (target, seed) not in shared:
            shared[target, seed] = dict(_aurocs(head, split, features, others, words))
        values = dict(_aurocs(head, split, features, of_fit, words)) | shared[target, seed]
        rows += [
            {"method": method, "target": target, "seed": seed, "option": option.name, "auroc": values[option.name]}
            for option in options
        ]
    return pd.DataFrame(rows)


def _aurocs(
    head: Head, split: pd.DataFrame, features: Features, options: Sequence[Option], words: np.ndarray | None
) -> Iterator[tuple[str, float]]:
    from pipeline.detection.metrics import auroc
    from pipeline.detection.scores.spaces import compute, fit
    from pipeline.evaluation.seen import Eye

    train, validation = split[split["role"] == TRAIN], split[split["role"] == VALIDATION]
    unknown = split[split["role"] == TEST_UNKNOWN_ID]
    (classes,) = known_by_fit(split).values()
    eye = Eye(head, features.text[features.text_rows(classes)])
    training = eye.training(features.clean[features.clean_rows(train["path"])], train["label"].to_numpy(), words)
    inside, outside = (eye.views(features.clean[features.clean_rows(rows["path"])]) for rows in (validation, unknown))
    for option in options:
        statistics = fit(option, training, inside)
        yield option.name, auroc(*(compute(option, images, statistics).numpy() for images in (inside, outside)))
