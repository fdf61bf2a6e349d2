"""The report's figures as SVG; each shows one of the tables of `curves`, in the order of methods that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.results import ordered_targets
from pipeline.report.drawing import (
    GREY,
    domain_axis,
    house_style,
    legend_above,
    legend_labels,
    looks,
    new_figure,
    offset,
    svg,
)
from pipeline.tables import MEAN, TEST_ID, TEST_SHIFTED, UNKNOWN_CLASSES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LABELS = {
    TEST_ID: "ID (source domains)",
    TEST_SHIFTED: "shifted (held-out domain)",
    UNKNOWN_CLASSES: "unknown classes",
}
_COLOURS = {TEST_ID: "#0072B2", TEST_SHIFTED: "#E69F00"}
_OPEN_COLOURS = ("#A0005A", "#009E73", "#000000", "#CC79A7", "#56B4E9")
_OPEN_LINES = ("-", "-.", ":")  # 3 and 5 share no divisor: 15 open sets look different


def accuracy_figure(accuracy: pd.DataFrame, methods: Sequence[str]) -> str:
    """Accuracy by held-out domain: a mark per method, a bar for the spread over seeds, a pale bar for the interval.

    Args:
        accuracy: from `accuracy_points`.
        methods: to show, in this order.
    Returns:
        <svg> text.
    """
    targets = ordered_targets(accuracy["target"])
    numbers = ["accuracy", "accuracy_spread", "accuracy_low", "accuracy_high"]
    with house_style():
        figure, (axes,) = new_figure(9.2, 3.6)
        handles = {}
        for index, method in enumerate(methods):
            rows = 100 * accuracy[accuracy["method"] == method].set_index("target")[numbers].reindex(targets)
            x = [place + offset(index, len(methods)) for place in range(len(targets))]
            style = looks(methods)[method]
            colour = style["color"]
            axes.vlines(x, rows["accuracy_low"], rows["accuracy_high"], color=colour, alpha=0.25, linewidth=6)
            spread = rows["accuracy_spread"].fillna(0.0)
            marks = {"fmt": style["marker"], "color": colour, "capsize": 3, "ms": 6}
            handles[method] = axes.errorbar(x, rows["accuracy"], spread, **marks)
        for place in range(1, len(targets)):
            axes.axvline(place - 0.5, color="#e5e7eb", linewidth=0.8, linestyle="-" if targets[place] != MEAN else "--")
        domain_axis(axes, targets, "held-out domain" if MEAN in targets else "", "accuracy on known classes, %")
        legend_above(figure, handles.items())
        return svg(figure)


def roc_figure(roc: pd.DataFrame, methods: Sequence[str]) -> str:
    """ROC of each open set against known classes, with the two operating points of the FPR95s; a panel per open set.

    Args:
        roc: from `roc_points`, not empty.
        methods: to show, in this order.
    Returns:
        <svg> text.
    """
    sets = list(dict.fromkeys(roc["open_set"]))
    columns = 1 if len(sets) == 1 else 2
    size = (5.8, 4.6) if len(sets) == 1 else (9.2, 0.6 + 4.0 * -(-len(sets) // columns))
    with house_style():
        figure, panels = new_figure(*size, len(sets), columns)
        handles: dict[str, Any] = {}
        for axes, name in zip(panels, sets, strict=True):
            handles |= _roc_panel(axes, roc[roc["open_set"] == name], methods)
            if len(sets) > 1:
                axes.set_title(_LABELS.get(name, name))
        if len(sets) == 1:
            labels = legend_labels(handles)
            panels[0].legend(list(handles.values()), labels, loc="lower right", bbox_to_anchor=(1.0, 0.08))
        else:
            legend_above(figure, handles.items())
        return svg(figure)


def _roc_panel(axes: Axes, roc: pd.DataFrame, methods: Sequence[str]) -> dict[str, Any]:
    """Draw one open set; returns the line of each method."""
    handles = {}
    for method in methods:
        rows = roc[roc["method"] == method]
        if len(rows):
            x, y = 100 * rows["known_rejected"], 100 * rows["unknown_rejected"]
            style = {key: value for key, value in looks(methods)[method].items() if key != "marker"}
            handles[method] = axes.plot(x, y, linewidth=1.9, **style)[0]
    axes.plot([0, 100], [0, 100], color="#d1d5db", linewidth=1)
    axes.axvline(5, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.axhline(95, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    note: dict[str, Any] = {
        "color": GREY,
        "fontsize": 8.5,
        "bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    }
    axes.annotate("5 % of known rejected:\nFPR95, ID positive", (6, 2.5), va="bottom", **note)
    axes.annotate("95 % of unknown rejected:\nFPR95, OOD positive", (99, 93.5), ha="right", va="top", **note)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 101)
    axes.set_xlabel("known images rejected, %")
    axes.set_ylabel("unknown images rejected, %")
    return handles


def histogram_figure(histogram: pd.DataFrame, methods: Sequence[str]) -> str:
    """Distribution of the open-set score of ID, shifted and each open set's test images, a panel per method.

    Args:
        histogram: from `score_histogram`, not empty.
        methods: to show, in this order.
    Returns:
        <svg> text.
    """
    import numpy as np

    kinds = list(dict.fromkeys(histogram["images"]))
    looks_of = {kind: (_COLOURS[kind], "-" if kind == TEST_ID else "--") for kind in kinds if kind in _COLOURS}
    for place, kind in enumerate(kind for kind in kinds if kind not in _COLOURS):
        looks_of[kind] = (_OPEN_COLOURS[place % len(_OPEN_COLOURS)], _OPEN_LINES[place % len(_OPEN_LINES)])
    columns = min(3, len(methods))
    with house_style():
        figure, panels = new_figure(9.2, 0.6 + 2.6 * -(-len(methods) // columns), len(methods), columns)
        handles = {}
        for axes, method in zip(panels, methods, strict=True):
            for kind, rows in histogram[histogram["method"] == method].groupby("images", sort=False):
                name = str(kind)
                edges = np.append(rows["low"], rows["high"].iloc[-1])
                colour, line = looks_of[name]
                axes.stairs(100 * rows["share"], edges, fill=True, color=colour, alpha=0.18)
                handles[name] = axes.stairs(100 * rows["share"], edges, color=colour, linewidth=1.6, linestyle=line)
            axes.set_title(method)
            axes.set_ylim(bottom=0)
        figure.supxlabel("open-set score; further right = more likely unknown", fontsize=10, color="#374151")
        figure.supylabel("% of images", fontsize=10, color="#374151")
        legend_above(figure, ((_LABELS.get(name, name), handle) for name, handle in handles.items()))
        return svg(figure)


def history_figure(history: pd.DataFrame, methods: Sequence[str]) -> str:
    """Cross-entropy on training images and accuracy on source-domain validation images by epoch.

    Args:
        history: from `history_points`, not empty.
        methods: whose looks the order fixes; those without a history are left out.
    Returns:
        <svg> text.
    """
    from matplotlib.ticker import MaxNLocator

    with house_style():
        figure, (left, right) = new_figure(9.2, 3.0, panels=2, columns=2)
        handles = {}
        for method in methods:
            rows = history[history["method"] == method]
            if len(rows):
                style = looks(methods)[method] | {"markersize": 3.5, "linewidth": 1.6}
                handles[method] = left.plot(rows["epoch"], rows["cross_entropy"], **style)[0]
                right.plot(rows["epoch"], 100 * rows["validation_accuracy"], **style)
        left.set_title("Cross-entropy, training images (nats)")
        right.set_title("Accuracy, source-domain validation (%)")
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.grid()
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend_above(figure, handles.items())
        return svg(figure)
