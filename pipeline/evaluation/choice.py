"""Which method and which open-set score are deployed, by validation images of known classes alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4  # of shares; what is equal to so many is a tie, which goes to the simpler one


def rank(accuracies: Mapping[str, float], aurocs: pd.DataFrame) -> pd.DataFrame:
    """Every method with every score, the best first.

    The value of a pair is the harmonic mean of the method's accuracy on validation images and the score's AUROC with
    classes left out, so that neither can make up for the other.

    Args:
        accuracies: mean validation accuracy by method, the simplest method first; methods without one are left out.
        aurocs: as `left_out.left_out_aurocs` returns, its options the simplest first.
    Returns:
        method, option, accuracy, auroc and value, the columns; the first row is the choice.
    """
    mean = aurocs.groupby(["method", "option"], sort=False)["auroc"].mean().reset_index()
    mean = mean[mean["method"].isin(list(accuracies))]
    place = {method: number for number, method in enumerate(accuracies)}
    mean = mean.assign(accuracy=mean["method"].map(accuracies), place=mean["method"].map(place))
    total = mean["accuracy"] + mean["auroc"]
    mean["value"] = (2 * mean["accuracy"] * mean["auroc"] / total.where(total > 0, 1.0)).round(DIGITS)
    mean = mean.sort_values("place", kind="stable").sort_values("value", ascending=False, kind="stable")
    return mean[["method", "option", "accuracy", "auroc", "value"]].reset_index(drop=True)
