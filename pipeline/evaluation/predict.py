"""Every fit's decisions on the test images of its split, and what every open-set score makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.decision.fit import FitView, Limits, Shared
from pipeline.detection import metrics
from pipeline.errors import DataError
from pipeline.evaluation.measures import known_tested, open_sets
from pipeline.splits import known_by_fit
from pipeline.tables import (
    DEPLOY,
    DETECTION,
    SCORES,
    TEST_ID,
    TEST_SHIFTED,
    TEST_UNKNOWN,
    TEST_UNKNOWN_ID,
    TRAIN,
    VALIDATION,
)

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.detection.scores.spaces import Option
    from pipeline.features import Features
    from pipeline.fits import Fits

TEST_ROLES = (TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID)
MEASURED = ("auroc", "fpr95_id_positive", "fpr95_ood_positive")


class Answers(NamedTuple):
    """What fits say of their test images.

    Attributes:
        scores: SCORES table, in the order of the fits, then of the splits; its score is the chosen option's.
        detection: DETECTION table; without rows where no other option was asked for.
        limits: method, target, seed, temperature, threshold, images (of validation) and notes, a row per fit.
    """

    scores: pd.DataFrame
    detection: pd.DataFrame
    limits: pd.DataFrame


def score_fits(
    features: Features,
    fits: Fits,
    splits: pd.DataFrame,
    option: Option,
    options: Sequence[Option] = (),
    *,
    limits: Limits | None = None,
    domains: Mapping[str, str] | None = None,
) -> Answers:
    """Classify and score the test images of every fit but the deployed one; diverged fits are left out.

    Args:
        features: of every image in `splits`; its clean views are used.
        fits: of all methods, side by side.
        splits: SPLITS table.
        option: the open-set score.
        options: those that are measured beside it.
        limits: where given, each fit's validation images set its temperature and its threshold; else confidences are
            those of the logits as they are.
        domains: path to domain, for the kind of threshold that asks for it.
    Raises:
        DataError: a fit has no test images in `splits`, an image has no features, no fit is left to evaluate, or a
            score is not finite.
    """
    import pandas as pd

    tests = dict(list(splits[splits["role"].isin(TEST_ROLES)].groupby(["target", "seed"], sort=False)))
    seen = splits[splits["role"].isin([TRAIN, VALIDATION])]
    learnt, known = dict(list(seen.groupby(["target", "seed"], sort=False))), known_by_fit(seen)
    kept = fits.table[(fits.table["target"] != DEPLOY) & ~fits.table["diverged"]]
    parts: dict[int, pd.DataFrame] = {}
    measured: dict[int, list[dict[str, Any]]] = {}
    limited: list[dict[str, Any]] = []
    shared = Shared()
    for _, members in kept.groupby("fit", sort=False):
        rows = []
        for target, seed in zip(members["target"], members["seed"], strict=True):
            if (target, seed) not in tests:
                raise DataError(f"splits: no test images for target {target!r}, seed {seed}; run `dvc repro split`")
            rows.append(tests[target, seed])
        # Targets that share a fit (fixed sources) share most of their test images too: each is classified once.
        paths = pd.concat(rows)["path"].drop_duplicates()
        first = str(members["target"].iloc[0]), int(members["seed"].iloc[0])
        fit = FitView(
            fits.heads[int(members["fit"].iloc[0])], features, learnt.get(first, splits.iloc[:0]), known[first], shared
        )
        temperature = 1.0
        if limits is not None:
            found = fit.limits(option, limits, domains or {})
            temperature = found["temperature"]
            keys = members[["method", "target", "seed"]].to_dict("records")
            limited += [{str(name): value for name, value in key.items()} | found for key in keys]
        every = list(dict.fromkeys([option, *fit.usable(options)]))
        answers = fit.answers(features.clean_rows(paths), every, temperature).set_axis(paths)
        for place, method, part in zip(members.index, members["method"], rows, strict=True):
            tested = part[["target", "seed", "path", "role", "open_set", "label"]].assign(method=method)
            joined = tested.join(answers, on="path")
            parts[place] = joined.rename(columns={option.name: "score"})[list(SCORES.columns)]
            measured[place] = list(_detection(joined, [other for other in every if other in options]))
    if not parts:
        raise DataError("fits: nothing to evaluate: every fit that is tested diverged; lower finetune.lr")
    scores = pd.concat([parts[place] for place in kept.index], ignore_index=True).astype(dict(SCORES.columns))
    detection = pd.DataFrame([row for place in kept.index for row in measured[place]], columns=list(DETECTION.columns))
    columns = ["method", "target", "seed", "temperature", "threshold", "images", "notes"]
    return Answers(scores, detection.astype(dict(DETECTION.columns)), pd.DataFrame(limited, columns=columns))


def _detection(answers: pd.DataFrame, options: Sequence[Option]) -> Iterator[dict[str, Any]]:
    """Rows of DETECTION of one fit."""
    known = known_tested(answers).to_numpy()
    key = {name: answers[name].iloc[0] for name in ("method", "target", "seed")}
    scores = {option.name: answers[option.name].to_numpy() for option in options}
    for open_set in open_sets(answers):
        unknown = ((answers["role"] == TEST_UNKNOWN) & (answers["open_set"] == open_set)).to_numpy()
        for name, values in scores.items() if known.any() and unknown.any() else ():
            pair = values[known], values[unknown]
            yield {**key, "open_set": open_set, "option": name, **metrics.detection(*pair, MEASURED)}
