"""Leave classes and a domain out: validation images of known classes stand in for what a fit has not seen.

The known classes are cut into folds. Methods train without a fold and, where there are several source domains, without
one of them. A method is good where it classifies validation images of that domain, and an open-set score is good where
it puts validation images of the fold above those of the classes that were trained. No unknown image is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.splits import known_by_fit
from pipeline.tables import DEPLOY, TEST_SHIFTED, TEST_UNKNOWN_ID, TRAIN, UNKNOWN_CLASSES, VALIDATION
from pipeline.training.runs import Run

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 2  # classes that a fit knows, and that a fold leaves out unless there are too few for that


def fold_name(target: str, fold: int) -> str:
    """What a fold is called as a target, in tables and progress lines."""
    return f"{target}, fold {fold + 1}"


def left_out_splits(splits: pd.DataFrame, domains: Mapping[str, str], folds: int, seeds: int = 3) -> pd.DataFrame:
    """A split for each fold of the known classes, from training and validation rows alone.

    Held-out domains take turns: the first leaves out the first fold, the second the second, until each domain and each
    fold has had its turn; their source domains take turns alike. The fit that is deployed has no part in it where a
    domain is held out, since its validation images are test images of other fits.

    Args:
        splits: SPLITS table; rows of other roles are never looked at.
        domains: path to domain.
        folds: 0, or at least 2; fewer are made where the classes do not suffice.
        seeds: the first so many of each held-out domain.
    Returns:
        SPLITS table, targets named by `fold_name`: TRAIN and VALIDATION rows of the classes and domains that stay, with
        labels of their own; validation rows of these classes in the domain that is left out as TEST_SHIFTED; those of
        the fold, in any domain, as TEST_UNKNOWN_ID. Without rows where no fit knows three classes.
    """
    import pandas as pd

    seen = splits[splits["role"].isin([TRAIN, VALIDATION])]
    if not folds:
        return seen.iloc[:0]
    if (seen["target"] != DEPLOY).any():
        seen = seen[seen["target"] != DEPLOY]
    known = known_by_fit(seen)
    parts = [seen.iloc[:0]]
    for place, seed in enumerate(sorted({seed for _, seed in known})[:seeds]):
        targets = sorted(target for target, of in known if of == seed)
        cut = {target: class_folds(known[target, seed], folds, seed) for target in targets}
        for turn in range(max(len(targets), *map(len, cut.values()))):
            target = targets[turn % len(targets)]
            if cut[target]:
                number = turn % len(cut[target])
                rows = seen[(seen["target"] == target) & (seen["seed"] == seed)]
                part = _without_classes(rows, known[target, seed], cut[target][number])
                part = _without_domain(part, part["path"].map(domains), place + turn)
                if set(part["role"]) >= {TRAIN, VALIDATION, TEST_UNKNOWN_ID}:
                    parts.append(part.assign(target=fold_name(target, number)))
    return pd.concat(parts, ignore_index=True)


def class_folds(classes: Sequence[str], folds: int, seed: int) -> list[set[str]]:
    """Cut classes into folds of nearly one size, by a seed; into none where there are fewer than three classes."""
    if len(classes) < FEWEST + 1:
        return []
    count = len(classes) if len(classes) == FEWEST + 1 else max(2, min(folds, len(classes) // FEWEST))
    order = np.random.default_rng(seed).permutation(len(classes))
    return [{classes[place] for place in part} for part in np.array_split(order, count)]


def _without_domain(rows: pd.DataFrame, domains: pd.Series[str], turn: int) -> pd.DataFrame:
    """Leave out one of the domains that the others can do without; none where every class needs each of them."""
    train, validation = rows["role"] == TRAIN, rows["role"] == VALIDATION
    classes = set(rows.loc[rows["label"] >= 0, "class"])
    able = [
        name
        for name in sorted(set(domains))
        if set(rows.loc[train & (domains != name), "class"]) == classes
        and (validation & (domains == name)).any()
        and (validation & (domains != name)).any()
    ]
    if not able:
        return rows
    out = domains == able[turn % len(able)]
    left = rows.assign(role=rows["role"].mask(validation & out, TEST_SHIFTED))
    return left[~(train & out)]


def _without_classes(rows: pd.DataFrame, classes: Sequence[str], out: set[str]) -> pd.DataFrame:
    labels = {name: number for number, name in enumerate(name for name in classes if name not in out)}
    part = rows[rows["class"].isin(list(labels)) | (rows["role"] == VALIDATION)].copy()
    part["label"] = part["class"].map(labels).fillna(-1).astype("int64")
    unknown = part["label"] < 0
    part.loc[unknown, "role"], part.loc[unknown, "open_set"] = TEST_UNKNOWN_ID, UNKNOWN_CLASSES
    return part


def in_batches(runs: Sequence[Run]) -> Iterator[Run]:
    """The same runs, with a batch that their training images fill: a fold may leave fewer than the settings ask for."""
    for run in runs:
        images = len(run.train_rows)
        if run.kind.trains and images < int(run.setting("batch_size")) and images >= FEWEST:
            yield replace(run, options=run.options.model_copy(update={"batch_size": images}))
        else:
            yield run
