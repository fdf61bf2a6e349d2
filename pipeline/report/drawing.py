"""House style of the figures: colour-blind safe colours, one look per method, the same SVG bytes each time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), without the yellow that fades on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")  # 9 and 7 share no divisor: 63 methods look different
LINES = ("-", "--", "-.", ":")
GREY = "#6b7280"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: selectable, searchable, small
    "svg.hashsalt": "croft",  # the same ids, hence the same bytes, each time
    "text.parse_math": False,  # a folder name may hold a dollar sign
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#9ca3af",
    "axes.linewidth": 0.8,
    "axes.labelcolor": "#374151",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "grid.color": "#e5e7eb",
    "legend.frameon": False,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save inside this block; matplotlib's own settings are the same again afterwards."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's font lacks; only the measured width is a guess.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def looks(methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour, marker and line of each method, by name: a change of ranks repaints nothing."""
    return {
        method: {
            "color": COLOURS[place % len(COLOURS)],
            "marker": MARKERS[place % len(MARKERS)],
            "linestyle": LINES[place % len(LINES)],
        }
        for place, method in enumerate(sorted(methods))
    }


def new_figure(
    width: float, height: float, panels: int = 1, columns: int = 1, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with its panels, without pyplot and its global state.

    Args:
        width, height: in inches.
        panels: how many, in rows of `columns`.
        share: one scale for all panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    grid = list(figure.subplots(-(-panels // columns), columns, squeeze=False, sharex=share, sharey=share).flat)
    for surplus in grid[panels:]:
        surplus.set_visible(False)
    return figure, grid[:panels]


def domain_axis(axes: Axes, domains: Sequence[str], x_label: str, y_label: str) -> None:
    """A place on the x axis for each domain, and a grid behind the marks."""
    axes.set_xticks(range(len(domains)), domains)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(domains) - 0.5)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def offset(index: int, count: int) -> float:
    """Where the mark of method `index` of `count` stands next to a domain's place."""
    return 0.7 * ((index + 0.5) / count - 0.5)


def svg(figure: Figure) -> str:
    """The figure as an <svg> element for an HTML page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]  # an XML prolog is not allowed inside HTML


def legend_labels(names: Iterable[str]) -> list[str]:
    """Names for a legend, which leaves out those that start with an underscore."""
    return [f" {name}" if name.startswith("_") else name for name in names]


def legend_above(figure: Figure, entries: Iterable[tuple[str, Any]]) -> None:
    """One legend in a row above all panels, of names and what is drawn for them."""
    pairs = list(entries)
    labels, handles = legend_labels([name for name, _ in pairs]), [handle for _, handle in pairs]
    figure.legend(handles, labels, loc="outside upper left", ncols=max(1, min(4, len(pairs))))
