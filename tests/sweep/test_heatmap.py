"""The slice of the grid that a heat map shows."""

from __future__ import annotations

from xml.etree import ElementTree

from pipeline.report.heatmap import heatmap_axes, heatmap_cells, heatmap_figure
from pipeline.training.sweep import grid


def test_two_axes_are_rows_and_columns() -> None:
    points = grid({"a": [1, 2], "b": [10, 20, 30]})
    values = dict(zip(points, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], strict=True))
    chosen = list(points)[4]
    assert heatmap_axes(points, chosen) == ({"a": [1, 2], "b": [10, 20, 30]}, "a", "b", "")
    assert heatmap_cells(points, values, chosen) == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]


def test_a_third_axis_has_panels_and_a_fourth_is_at_its_chosen_value() -> None:
    points = grid({"a": [1, 2, 3], "c": ["x", "y"], "b": [10, 20, 30], "d": [0, 1]})
    values = {name: float(place) for place, name in enumerate(points)}
    chosen = next(name for name, point in points.items() if point == {"a": 2, "c": "y", "b": 10, "d": 1})
    assert heatmap_axes(points, chosen)[1:] == ("a", "b", "c")
    # Place of (a, c, b, d) in the grid: 12 (a - 1) + 6 [c = y] + 2 (b/10 - 1) + d.
    assert heatmap_cells(points, values, chosen, "x") == [[1.0, 3.0, 5.0], [13.0, 15.0, 17.0], [25.0, 27.0, 29.0]]
    assert heatmap_cells(points, values, chosen, "y") == [[7.0, 9.0, 11.0], [19.0, 21.0, 23.0], [31.0, 33.0, 35.0]]
    words = "".join(ElementTree.fromstring(heatmap_figure(points, values, chosen)).itertext())  # noqa: S314 - our own
    assert "c x" in words
    assert "c y" in words


def test_one_axis_is_one_row() -> None:
    points = grid({"a": [1, 2]})
    chosen = next(iter(points))
    assert heatmap_axes(points, chosen) == ({"a": [1, 2]}, "", "a", "")
    assert heatmap_cells(points, dict.fromkeys(points, 0.5), chosen) == [[0.5, 0.5]]
    assert "<svg" in heatmap_figure(points, dict.fromkeys(points, 0.5), chosen)


def test_figure_prints_each_cell_and_a_dash_where_there_is_none() -> None:
    points = grid({"lambda_1": [1, 2], "lambda_2": [3, 4]})
    values = dict(zip(points, [0.123, 0.456, float("nan"), 0.789], strict=True))
    text = heatmap_figure(points, values, next(iter(points)))
    words = "".join(ElementTree.fromstring(text).itertext())  # noqa: S314 - our own text
    for word in ("12.3", "45.6", "78.9", "–", "lambda 1", "lambda 2"):
        assert word in words
