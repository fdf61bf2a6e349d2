"""What the configurations of a sweep do on held-out domains; reported, never chosen by."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.measures import measure, open_sets
from pipeline.evaluation.predict import score_fits
from pipeline.evaluation.results import finite

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.detection.scores.spaces import Option
    from pipeline.evaluation.choice import Choice
    from pipeline.features import Features
    from pipeline.fits import Fits

HELD_OUT = ("accuracy", "auroc", "fpr95_id_positive", "fpr95_ood_positive")
"""Measures on the held-out domain, known after the choice; detection is the mean over the open sets."""
LEFT_OUT = ("left_out_accuracy", "left_out_auroc", "value")
"""Measures on validation images of classes and domains that a fit has not seen; the last one chooses."""
MEASURES = (*LEFT_OUT, "validation_accuracy", *HELD_OUT)


def left_out(validation: pd.DataFrame, choice: Choice) -> pd.DataFrame:
    """Add LEFT_OUT to the rows of a sweep: of each configuration with the chosen score.

    Args:
        validation: configuration and more.
        choice: whose methods are configurations.
    """
    ranking = choice.ranking[choice.ranking["option"] == choice.score].set_index("method")
    columns = dict(zip(LEFT_OUT, ("accuracy", "auroc", "value"), strict=True))
    added = {name: validation["configuration"].map(ranking[column]) for name, column in columns.items()}
    return validation.assign(**{name: values.astype("float64") for name, values in added.items()})


def held_out(
    validation: pd.DataFrame, features: Features, fits: Fits, splits: pd.DataFrame, option: Option
) -> pd.DataFrame:
    """Add HELD_OUT to the rows of a sweep.

    Args:
        validation: configuration, target, seed and more; each row's fit is the one whose method is its configuration.
        features, fits, splits, option: as for `score_fits`; the splits with their test rows.
    Returns:
        The same rows with more columns; NaN where a run diverged or there is nothing to measure.
    """
    import pandas as pd

    rows = []
    scores = score_fits(features, fits, splits, option).scores
    sets = open_sets(scores)
    for (name, target, seed), part in scores.groupby(["method", "target", "seed"]):
        values = measure(part, sets)
        rows.append((name, target, seed, *(values["", metric] for metric in HELD_OUT)))
    measured = pd.DataFrame(rows, columns=["configuration", "target", "seed", *HELD_OUT])
    return validation.merge(measured, on=["configuration", "target", "seed"], how="left", sort=False)


def sweep_metrics(table: pd.DataFrame, choice: Choice) -> dict[str, Any]:
    """What the choice is and how it does; the other configurations stand in the table.

    Args:
        table: SWEEP table.
        choice: whose method is a configuration.
    Returns:
        chosen (what it sets), score, reason, configurations, runs, diverged, and of each measure its mean over held-out
        domains and seeds for the chosen configuration; regret: how much held-out accuracy another choice would have
        given.
    """
    means = means_by_configuration(table)
    of_chosen = means.loc[[choice.method]].to_dict("records")[0]
    return {
        "chosen": json.loads(of_chosen["point"]),
        "score": choice.score,
        "reason": choice.reason,
        "configurations": len(means),
        "runs": len(table),
        "diverged": int(table["diverged"].sum()),
        **{name: finite(of_chosen[name]) for name in MEASURES},
        "regret": finite(means["accuracy"].max() - of_chosen["accuracy"]),
    }


def means_by_configuration(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of each measure over held-out domains and seeds, by configuration; NaN where any of its runs diverged."""
    means = table.groupby("configuration", sort=False).agg(
        point=("point", "first"), diverged=("diverged", "sum"), **{name: (name, "mean") for name in MEASURES}
    )
    means.loc[means["diverged"] > 0, list(MEASURES)] = math.nan
    return means


def by_choice(means: pd.DataFrame) -> pd.DataFrame:
    """Means by configuration, the best by what chooses first; by validation accuracy where nothing was left out."""
    column = "value" if means["value"].notna().any() else "validation_accuracy"
    return means.sort_values(column, ascending=False, kind="stable")
