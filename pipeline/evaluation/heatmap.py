"""A grid of settings as a heat map: two axes across, the other settings at their chosen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.evaluation.drawing import house_style, new_figure, svg

Points = Mapping[str, Mapping[str, Any]]


def heatmap_cells(
    points: Points, values: Mapping[str, float], chosen: str
) -> tuple[tuple[str, list[Any]], tuple[str, list[Any]], list[list[float]]]:
    """The slice of the grid through the chosen configuration along its two longest axes (the first of equals).

    Args:
        points: {configuration: {setting: value}}, a full grid.
        values: of each configuration; NaN where there is none.
        chosen: a configuration.
    Returns:
        (setting, its values) down and across, in the order of the grid ("" and one empty value where the grid has one
        axis), and the cells, rows down.
    """
    axes = {name: list(dict.fromkeys(point[name] for point in points.values())) for name in points[chosen]}
    longest = sorted(axes, key=lambda name: -len(axes[name]))[:2]
    down, across = (*(name for name in axes if name in longest), "")[:2]
    if not across:
        down, across = "", down
    fixed = {name: value for name, value in points[chosen].items() if name not in (down, across)}
    slice_ = {
        (point.get(down, ""), point[across]): values[name]
        for name, point in points.items()
        if all(point[key] == value for key, value in fixed.items())
    }
    rows, columns = axes.get(down, [""]), axes[across]
    cells = [[slice_[row, column] for column in columns] for row in rows]
    return (down, rows), (across, columns), cells


def heatmap_figure(points: Points, values: Mapping[str, float], chosen: str) -> str:
    """Heat map of one measure, a frame around the chosen configuration.

    Args:
        points, values, chosen: as for `heatmap_cells`; values in 0 to 1, printed in percent.
    Returns:
        <svg> text.
    """
    import numpy as np

    (down, rows), (across, columns), cells = heatmap_cells(points, values, chosen)
    grid = 100 * np.array(cells, dtype=float)
    with house_style():
        figure, (axes,) = new_figure(2.2 + 0.8 * len(columns), 1.1 + 0.5 * len(rows))
        image = axes.imshow(np.ma.masked_invalid(grid), cmap="cividis", aspect="auto")
        middle = (np.nanmin(grid) + np.nanmax(grid)) / 2
        for (y, x), value in np.ndenumerate(grid):
            text = f"{value:.1f}" if math.isfinite(value) else "–"
            colour = "black" if math.isfinite(value) and value > middle else "white"
            colour = colour if math.isfinite(value) else "black"
            axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=9)
        x, y = columns.index(points[chosen][across]), rows.index(points[chosen].get(down, ""))
        axes.add_patch(_frame(x, y))
        axes.set_xticks(range(len(columns)), [str(value) for value in columns])
        axes.set_yticks(range(len(rows)), [str(value) for value in rows])
        axes.set_xlabel(across.replace("_", " "))
        axes.set_ylabel(down.replace("_", " "))
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label="%")
        return svg(figure)


def _frame(x: int, y: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=3)
