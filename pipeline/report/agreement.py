"""Agreement of the domains' Hessians in the report: what it says about the theory, its table and its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.hessian import MEASURES
from pipeline.report.drawing import GREY, domain_axis, house_style, legend_above, looks, new_figure, offset, svg
from pipeline.report.wording import NONE

if TYPE_CHECKING:
    import pandas as pd


def verdict(effect: Mapping[str, Any]) -> str:
    """An effect of `penalty_effects` as a sentence: whether the theory's direction holds on these data."""
    if effect["low"] > 0:
        direction = "The Hessians agree more with the penalty, as the theory predicts"
    elif effect["high"] < 0:
        direction = "The Hessians agree less with the penalty, against the theory"
    else:
        direction = "The penalty makes no clear difference to the agreement, so the theory is not confirmed"
    sentence = (
        f"{direction}: cosine {effect['gain']:+.4f} (95 % interval {effect['low']:+.4f} to {effect['high']:+.4f}), "
        f"{effect['with']} against {effect['without']}, higher in {effect['better']} of {effect['fits']} fits."
    )
    if effect["also"]:
        names = ", ".join(name.replace("_", " ") for name in effect["also"])
        sentence += f" The two methods also differ in: {names}."
    return sentence


def hessian_rows(hessian: pd.DataFrame, methods: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each method's agreement of Hessians: mean over held-out domains and seeds ± standard deviation over all fits."""
    rows = []
    for method in methods:
        of_method = hessian[hessian["method"] == method]
        if len(of_method):
            columns = [of_method[name].dropna() for name in MEASURES]
            rows.append((method, [f"{c.mean():.3f} ± {c.std(ddof=1):.3f}" if len(c) > 1 else NONE for c in columns]))
    return rows


def hessian_pairs_figure(points: pd.DataFrame, effects: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> str:
    """Cosine of the Hessians of each held-out domain with each source domain, with and without the penalty.

    Args:
        points: from `hessian_points`.
        effects: from `penalty_effects`, not empty; a panel for each of the first four.
        methods: whose looks these are.
    Returns:
        <svg> text.
    """
    cosines = points.set_index(["method", "target", "source"])["cosine"]
    places = sorted(set(zip(points["target"], points["source"], strict=True)), reverse=True)
    shown = list(effects)[:4]
    with house_style():
        columns = min(2, len(shown))
        height = -(-len(shown) // columns) * (1.4 + 0.24 * len(places))
        figure, panels = new_figure(9.2, height, len(shown), columns, share=True)
        for axes, effect in zip(panels, shown, strict=True):
            colour = looks(methods)[effect["with"]]["color"]
            without, with_ = (
                [float(cosines.get((effect[key], *place), math.nan)) for place in places] for key in ("without", "with")
            )
            heights = range(len(places))
            axes.hlines(heights, without, with_, color=colour, linewidth=1.6, alpha=0.6)
            axes.plot(without, heights, "o", markerfacecolor="white", color=GREY)
            axes.plot(with_, heights, "o", color=colour)
            axes.set_title(f"filled: {effect['with']}\nhollow: {effect['without']}")
            axes.set_yticks(heights, [f"{target} with {source}" for target, source in places])
            axes.tick_params(axis="y", length=0)
            axes.set_xlabel("cosine of Hessians")
            axes.grid(axis="x")
            axes.set_axisbelow(True)
        return svg(figure)


def hessian_figure(hessian: pd.DataFrame, methods: Sequence[str]) -> str:
    """Cosine between the Hessians of the held-out and the source domains: a mark per fit, a line at a method's mean.

    Args:
        hessian: from `hessian_agreement`, not empty.
        methods: whose looks and order these are; those that were not measured are left out.
    Returns:
        <svg> text.
    """
    shown = [method for method in methods if (hessian["method"] == method).any()]
    targets = sorted(hessian["target"].unique())
    with house_style():
        figure, (axes,) = new_figure(9.2, 3.2)
        handles = {}
        for index, method in enumerate(shown):
            rows = hessian[hessian["method"] == method]
            shift = offset(index, len(shown))
            style = looks(methods)[method] | {"linestyle": "none", "alpha": 0.75}
            x = [targets.index(target) + shift for target in rows["target"]]
            handles[method] = axes.plot(x, rows["hessian_cosine"], **style)[0]
            for target, mean in rows.groupby("target")["hessian_cosine"].mean().items():
                place = targets.index(target) + shift
                axes.plot([place - 0.06, place + 0.06], [mean, mean], color=style["color"], linewidth=2)
        domain_axis(axes, targets, "held-out domain", "cosine of Hessians")
        legend_above(figure, handles.items())
        return svg(figure)
