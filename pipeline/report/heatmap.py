"""A grid of settings as a heat map: two axes, a panel for each value of a third, others at their chosen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.report.drawing import house_style, new_figure, svg
from pipeline.report.wording import NONE

Points = Mapping[str, Mapping[str, Any]]


def heatmap_axes(points: Points, chosen: str) -> tuple[dict[str, list[Any]], str, str, str]:
    """The axes of a grid with their values, in its order, and which of them are drawn where.

    Args:
        points: {configuration: {setting: value}}, a full grid.
        chosen: a configuration.
    Returns:
        The axes; the two longest (the first of equals) in the order of the grid, down and across; the third longest,
        which has a panel for each value. "" where the grid has no such axis; a single one goes across.
    """
    axes = {name: list(dict.fromkeys(point[name] for point in points.values())) for name in points[chosen]}
    longest = [*sorted(axes, key=lambda name: -len(axes[name])), "", ""]
    *down, across = (name for name in axes if name in longest[:2])
    return axes, down[0] if down else "", across, longest[2]


def heatmap_cells(points: Points, values: Mapping[str, float], chosen: str, panel: Any = None) -> list[list[float]]:
    """One panel: rows down, columns across, in the order of the grid.

    Args:
        points, chosen: as for `heatmap_axes`.
        values: of each configuration; NaN where there is none.
        panel: value of the third axis, where there is one; axes beyond it are at their chosen values.
    """
    axes, down, across, third = heatmap_axes(points, chosen)
    fixed = {name: value for name, value in points[chosen].items() if name not in (down, across)}
    if third:
        fixed[third] = panel
    slice_ = {
        (point.get(down, ""), point[across]): values[name]
        for name, point in points.items()
        if all(point[key] == value for key, value in fixed.items())
    }
    return [[slice_[row, column] for column in axes[across]] for row in axes.get(down, [""])]


def heatmap_figure(points: Points, values: Mapping[str, float], chosen: str) -> str:
    """Heat map of one measure, a frame around the chosen configuration; one colour scale for all panels.

    Args:
        points, values, chosen: as for `heatmap_cells`; values in 0 to 1, printed in percent.
    Returns:
        <svg> text.
    """
    import numpy as np
    from matplotlib.patches import Rectangle

    axes, down, across, third = heatmap_axes(points, chosen)
    rows, columns, panels = axes.get(down, [""]), axes[across], axes.get(third, [None])
    grids = [100 * np.array(heatmap_cells(points, values, chosen, panel), dtype=float) for panel in panels]
    lowest, highest = float(np.nanmin(grids)), float(np.nanmax(grids))
    side = max(1, min(len(panels), 12 // len(columns)))
    high = -(-len(panels) // side)
    with house_style():
        size = (1.4 + side * (0.6 + 0.7 * len(columns)), high * (1.1 + 0.5 * len(rows)))
        figure, drawn = new_figure(*size, len(panels), side, share=True)
        for panel, grid, axis in zip(panels, grids, drawn, strict=True):
            image = axis.imshow(np.ma.masked_invalid(grid), cmap="cividis", aspect="auto", vmin=lowest, vmax=highest)
            for (y, x), value in np.ndenumerate(grid):
                finite = math.isfinite(value)
                colour = "white" if finite and value <= (lowest + highest) / 2 else "black"
                text = f"{value:.1f}" if finite else NONE
                axis.text(x, y, text, ha="center", va="center", color=colour, fontsize=9)
            if third:
                axis.set_title(f"{_words(third)} {panel}")
            if not third or panel == points[chosen][third]:
                corner = columns.index(points[chosen][across]) - 0.5, rows.index(points[chosen].get(down, "")) - 0.5
                axis.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", linewidth=3))
            axis.set_xticks(range(len(columns)), [str(value) for value in columns])
            axis.set_yticks(range(len(rows)), [str(value) for value in rows])
            axis.set_xlabel(_words(across))
            axis.tick_params(length=0)
        for axis in drawn[::side]:
            axis.set_ylabel(_words(down))
        figure.colorbar(image, ax=drawn, label="%")
        return svg(figure)


def _words(name: str) -> str:
    return name.replace("_", " ")
