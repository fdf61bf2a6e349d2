"""What is deployed and why, what every score does, and what the threshold does: tables of the report, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from pipeline.evaluation.results import ordered_targets, unknown_classes_first
from pipeline.report.drawing import GREY, house_style, legend_above, new_figure, svg
from pipeline.report.wording import NONE, called, percent
from pipeline.tables import IN_DISTRIBUTION, MEAN, TEST_ID, TEST_SHIFTED

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.evaluation.choice import Choice

SHOWN = 10  # pairs of the ranking, and scores


class Row(NamedTuple):
    """A row of a table: its cells as text, and whether it is the one that is deployed."""

    cells: list[str]
    deployed: bool = False


def ranking_rows(choice: Choice, most: int = SHOWN) -> list[Row]:
    """The first pairs of the ranking, then the best of each method that is not among them, then the deployed one."""
    table = choice.ranking.assign(place=range(1, len(choice.ranking) + 1))
    best = table.drop_duplicates("method")
    is_chosen = (table["method"] == choice.method) & (table["option"] == choice.score)
    kept = table[(table["place"] <= most) | table["place"].isin(best["place"]) | is_chosen]
    return [
        Row(
            [str(r["place"]), r["method"], r["option"], *(percent(r[n]) for n in ("accuracy", "auroc", "value"))],
            r["method"] == choice.method and r["option"] == choice.score,
        )
        for r in kept.to_dict("records")
    ]


def score_table(detection: pd.DataFrame, methods: Sequence[str], choice: Choice) -> tuple[list[str], list[Row]]:
    """AUROC of every score by method: test images, mean over open sets, held-out domains and seeds.

    Args:
        detection: DETECTION table, not empty.
        methods: columns, in this order.
    Returns:
        Headings and rows; the score with the best validation value of the deployed method first.
    """
    by_fit = detection.groupby(["method", "option", "target", "seed"])["auroc"].mean()
    means = by_fit.groupby(["method", "option"]).mean().unstack("method")
    of_method = choice.ranking[choice.ranking["method"] == choice.method]
    order = [name for name in of_method["option"] if name in means.index]
    order += [name for name in means.index if name not in order]
    rows = [
        Row(
            [name, *(percent(float(means.loc[name, m])) if m in means else NONE for m in methods)], name == choice.score
        )
        for name in order
    ]
    return ["score", *methods], rows


def decision_rows(decisions: pd.DataFrame, method: str) -> tuple[list[str], list[Row]]:
    """What the threshold of each fit of a method does to known and unknown test images, by held-out domain.

    Args:
        decisions: of `evaluation.decisions`.
    Returns:
        Headings and rows: accepted share of known images, of these the shares that are right, rejected share of each
        open set.
    """
    table = decisions[decisions["method"] == method]
    sets = sorted(set(table["images"]) - {TEST_ID, TEST_SHIFTED}, key=unknown_classes_first)
    known = [TEST_ID] if set(table["target"]) == {IN_DISTRIBUTION} else [TEST_ID, TEST_SHIFTED]
    names = {TEST_ID: "source domains", TEST_SHIFTED: "held-out domain"}
    headings = [f"known accepted, {names[kind]}" for kind in known]
    headings += [f"accepted and right, {names[kind]}" for kind in known]
    headings += [f"rejected, {called(name)}" for name in sets]
    rows = []
    values = table.set_index(["target", "images"])
    for target in ordered_targets(table["target"]):
        part = table if target == MEAN else table[table["target"] == target]
        means = part.groupby("images")[["accepted", "correct"]].mean()
        spreads = values["spread"].get((target, known[-1])) if target != MEAN else None
        accepted = {kind: means["accepted"].get(kind, float("nan")) for kind in [*known, *sets]}
        cells = [percent(accepted[kind], spreads if kind == known[-1] else None) for kind in known]
        cells += [percent(means["correct"].get(kind, float("nan"))) for kind in known]
        cells += [percent(1 - accepted[name]) for name in sets]
        rows.append(Row([target, *cells]))
    return ["held-out domain", *headings], rows


def reliability_figure(reliability: pd.DataFrame, method: str) -> str:
    """Confidence of a method against the share that is right; the size of a mark is the share of images in its bin.

    Args:
        reliability: of `evaluation.reliability`.
    Returns:
        <svg> text.
    """
    table = reliability[reliability["method"] == method]
    colours = ("#0072B2", "#D55E00")
    with house_style():
        figure, (axes,) = new_figure(5.2, 4.2)
        axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
        handles = []
        for colour, (kind, rows) in zip(colours, table.groupby("images", sort=False), strict=False):
            x, y = 100 * rows["confidence"], 100 * rows["correct"]
            handles.append((str(kind), axes.plot(x, y, color=colour, linewidth=1.6)[0]))
            axes.scatter(x, y, s=10 + 260 * rows["share"], color=colour, alpha=0.75, linewidths=0)
        axes.set_xlabel("probability of the answer, %")
        axes.set_ylabel("answers that are right, %")
        axes.set_xlim(0, 101)
        axes.set_ylim(0, 101)
        axes.grid()
        legend_above(figure, handles)
        return svg(figure)
