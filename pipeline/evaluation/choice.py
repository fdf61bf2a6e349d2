"""Which method and which open-set score are deployed, by validation images of known classes alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.params.choice import AUTO
from pipeline.tables import DEPLOY

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4  # of shares; what is equal to so many is a tie, which goes to the simpler one
FALLBACK = "mcm"  # where nothing could be left out: no loss or penalty moves it as far as it moves the energy
Rule = Callable[["pd.Series[float]", "pd.Series[float]"], "pd.Series[float]"]
RULES: dict[str, tuple[str, Rule]] = {
    "harmonic-mean": (
        "harmonic mean of accuracy and AUROC",
        lambda accuracy, auroc: 2 * accuracy * auroc / (accuracy + auroc).where(accuracy + auroc > 0, 1.0),
    ),
    "accuracy": ("accuracy", lambda accuracy, auroc: accuracy),
    "auroc": ("AUROC", lambda accuracy, auroc: auroc),
}
"""What makes a pair the best: in words, and as a number of its accuracy and AUROC."""
UNSEEN, SEEN = "a source domain that the fit has not seen", "the source domains"
"""On whose validation images accuracy is measured; the second where there is one source domain."""


@dataclass(frozen=True)
class Choice:
    """What is deployed, and why.

    Attributes:
        method: of the fits.
        score: an option of `detection.scores.spaces`, by name.
        reason: one or two sentences.
        ranking: of `rank`; every method with every score, whatever was named.
        rule: of RULES.
        measured_on: UNSEEN or SEEN.
        named: what params.yaml gave, "method", "score" or both.
    """

    method: str
    score: str
    reason: str
    ranking: pd.DataFrame
    rule: str
    measured_on: str
    named: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What later stages read."""
        chosen = self.ranking[(self.ranking["method"] == self.method) & (self.ranking["option"] == self.score)]
        numbers = chosen[["accuracy", "auroc", "value"]].to_dict("records")
        return {
            "method": self.method,
            "score": self.score,
            "reason": self.reason,
            "rule": self.rule,
            "accuracy_on": self.measured_on,
            "named": list(self.named),
            "pairs": len(self.ranking),
            "validation": {str(name): float(value) for name, value in (numbers[0] if numbers else {}).items()},
        }


def choose(seen: Mapping[str, float], left_out: pd.DataFrame, *, method: str, score: str, rule: str) -> Choice:
    """Choose what params.yaml leaves open.

    Args:
        seen: of `validation_accuracies`.
        left_out: of `left_out.left_out_numbers`; without rows where nothing could be left out.
        method, score: as named, or AUTO.
        rule: of RULES.
    Raises:
        DataError: there is no method to choose from, or none with the named score.
    """
    accuracies, measured_on = _accuracies(seen, left_out)
    ranking = rank(accuracies, left_out, rule)
    named = tuple(key for key, value in (("method", method), ("score", score)) if value != AUTO)
    if len(named) == 2:
        reason = "Named in params.yaml: export.method and export.score."
        return Choice(method, score, reason, ranking, rule, measured_on, named)
    if ranking.empty:
        method, score, reason = _without_left_out(accuracies, method, score)
        return Choice(method, score, reason, ranking, rule, measured_on, named)
    left = ranking
    for column, value in (("method", method), ("option", score)):
        left = left if value == AUTO else left[left[column] == value]
    if left.empty:
        raise DataError(f"choice: no fit of method {method!r} with score {score!r} to choose; see finetune.methods")
    best = left.iloc[0]
    given = f" params.yaml names the {named[0]}." if named else ""
    pairs = f"the best of {len(left)} pairs of method and score" if len(left) > 1 else "the only pair"
    reason = (
        f"{best['method']} with {best['option']} is {pairs} by the {RULES[rule][0]}, {100 * best['value']:.1f}: "
        f"validation images of {measured_on} are classified right in {100 * best['accuracy']:.1f} % of cases, and "
        f"those of classes left out are told apart with an AUROC of {100 * best['auroc']:.1f}.{given}"
    )
    return Choice(str(best["method"]), str(best["option"]), reason, ranking, rule, measured_on, named)


def _accuracies(seen: Mapping[str, float], left_out: pd.DataFrame) -> tuple[dict[str, float], str]:
    """By method in the order of `seen`: on domains that were left out where that was measured, else as `seen`."""
    by_fit = left_out.drop_duplicates(["method", "target", "seed"]).dropna(subset="accuracy")
    unseen = by_fit.groupby("method", sort=False)["accuracy"].mean()
    if unseen.empty:
        return dict(seen), SEEN
    return {name: float(unseen[name]) for name in seen if name in unseen}, UNSEEN


def _without_left_out(accuracies: Mapping[str, float], method: str, score: str) -> tuple[str, str, str]:
    reason = "No known class was left out: choose.folds is 0, or fewer than three known classes have validation images."
    if score == AUTO:
        score = FALLBACK
        reason += f" The score is {FALLBACK}, the default for that case."
    if method == AUTO:
        # Rounded, so that ties go to the first, which is the simplest.
        method = max(accuracies, key=lambda name: round(accuracies[name], DIGITS))
        reason += f" The method is {method}, the most accurate on validation images."
    return method, score, reason


def validation_accuracies(fits: pd.DataFrame) -> dict[str, float]:
    """Mean accuracy on validation images of each method, over held-out domains and seeds, methods in their order.

    Args:
        fits: FITS table. Methods of which a fit diverged are left out.
    Raises:
        DataError: none is left.
    """
    lost = set(fits.loc[fits["diverged"], "method"])
    kept = fits[~fits["method"].isin(lost)]
    if kept.empty:
        raise DataError("choice: a fit of every method diverged; lower finetune.lr")
    held_out = kept[kept["target"] != DEPLOY]
    means = (kept if held_out.empty else held_out).groupby("method", sort=False)["validation_accuracy"].mean()
    return {str(name): float(value) for name, value in means.items() if math.isfinite(value)}


def rank(accuracies: Mapping[str, float], left_out: pd.DataFrame, rule: str = "harmonic-mean") -> pd.DataFrame:
    """Every method with every score, the best first.

    Args:
        accuracies: on validation images by method, the simplest method first; methods without one are left out.
        left_out: as `left_out.left_out_numbers` returns, its options the simplest first; pairs that lack a fold are
            left out.
        rule: of RULES.
    Returns:
        method, option, accuracy, auroc and value, the columns; the first row is the choice. Ties go to the simpler
        method, then to the simpler score; with the rule `accuracy`, to the higher AUROC first.
    """
    pairs = left_out.groupby(["method", "option"], sort=False)["auroc"].agg(auroc="mean", folds="size").reset_index()
    pairs = pairs[(pairs["folds"] == pairs["folds"].max()) & pairs["method"].isin(list(accuracies))]
    place = {method: number for number, method in enumerate(accuracies)}
    pairs = pairs.assign(accuracy=pairs["method"].map(accuracies).astype("float64"), place=pairs["method"].map(place))
    pairs["value"] = RULES[rule][1](pairs["accuracy"], pairs["auroc"]).round(DIGITS)
    pairs = pairs.sort_values("place", kind="stable")
    if rule == "accuracy":  # which says nothing about scores
        pairs = pairs.sort_values("auroc", ascending=False, kind="stable", key=lambda column: column.round(DIGITS))
    pairs = pairs.sort_values("value", ascending=False, kind="stable")
    ranking: pd.DataFrame = pairs[["method", "option", "accuracy", "auroc", "value"]].reset_index(drop=True)
    return ranking
