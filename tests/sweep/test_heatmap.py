"""The slice of the grid that a heat map shows."""

from __future__ import annotations

from xml.etree import ElementTree

from pipeline.evaluation.heatmap import heatmap_cells, heatmap_figure
from pipeline.training.sweep import grid


def test_two_axes_are_rows_and_columns() -> None:
    points = grid({"a": [1, 2], "b": [10, 20, 30]})
    values = dict(zip(points, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], strict=True))
    down, across, cells = heatmap_cells(points, values, list(points)[4])
    assert (down, across) == (("a", [1, 2]), ("b", [10, 20, 30]))
    assert cells == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]


def test_a_third_axis_is_at_its_chosen_value() -> None:
    points = grid({"a": [1, 2, 3], "c": ["x", "y"], "b": [10, 20, 30]})
    values = {name: float(place) for place, name in enumerate(points)}
    chosen = next(name for name, point in points.items() if point == {"a": 2, "c": "y", "b": 10})
    down, across, cells = heatmap_cells(points, values, chosen)
    assert (down[0], across[0]) == ("a", "b")
    # Place of (a, c, b) in the grid: 6 (a - 1) + 3 [c = y] + b/10 - 1.
    assert cells == [[3.0, 4.0, 5.0], [9.0, 10.0, 11.0], [15.0, 16.0, 17.0]]


def test_one_axis_is_one_row() -> None:
    points = grid({"a": [1, 2]})
    down, across, cells = heatmap_cells(points, dict.fromkeys(points, 0.5), next(iter(points)))
    assert (down, across, cells) == (("", [""]), ("a", [1, 2]), [[0.5, 0.5]])


def test_figure_prints_each_cell_and_a_dash_where_there_is_none() -> None:
    points = grid({"lambda_1": [1, 2], "lambda_2": [3, 4]})
    values = dict(zip(points, [0.123, 0.456, float("nan"), 0.789], strict=True))
    text = heatmap_figure(points, values, next(iter(points)))
    words = "".join(ElementTree.fromstring(text).itertext())  # noqa: S314 - our own text
    for word in ("12.3", "45.6", "78.9", "–", "lambda 1", "lambda 2"):
        assert word in words
