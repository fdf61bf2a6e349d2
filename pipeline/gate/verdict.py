"""From measured differences to a decision, line by line. Pure, and light to import."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.gate.measure import Measured
    from pipeline.params import Promote

BETTER, NO_WORSE, WORSE, UNDERPOWERED, NOT_SHOWN = "better", "no worse", "worse", "underpowered", "not shown"


@dataclass(frozen=True)
class Row:
    """One metric of a comparison.

    Attributes:
        metric: its key.
        champion, challenger: 0 to 1.
        gain, low, high: challenger minus champion, positive where the challenger is better, and its bounds.
        margin: the loss that is tolerated.
        detectable: the smallest regression that these images and seeds would show.
        status: better: the lower bound is above 0; no worse: it is above -margin; worse: the upper bound is below 0;
            underpowered: none of these, and detectable exceeds the margin; not shown: none of these, and it does not.
    """

    metric: str
    champion: float
    challenger: float
    gain: float
    low: float
    high: float
    margin: float
    detectable: float
    status: str


@dataclass(frozen=True)
class Comparison:
    """A version against another one.

    Attributes:
        against: what the other one is: champion, reference.
        version: its number.
        rows: by metric.
        passed: whether the policy lets the version take the other's place.
        underpowered: metrics of that status.
        superiority: the metric that must be better; none where nothing must.
        alpha: error rate of each bound.
        known, unknown, seen: images, as in `Rescored`.
        notes: what is not the same for both.
    """

    against: str
    version: str
    rows: tuple[Row, ...]
    passed: bool
    underpowered: tuple[str, ...]
    superiority: str
    alpha: float
    known: int
    unknown: int
    seen: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Content of a JSON file; what is infinite is null."""
        content = asdict(self)
        for row in content["rows"]:
            row |= {key: None for key, value in row.items() if isinstance(value, float) and not math.isfinite(value)}
        return content


def decide(
    measured: Sequence[Measured], limits: Promote, *, alpha: float, superiority: str
) -> tuple[tuple[Row, ...], bool]:
    """Rows with their status, and whether the policy lets them pass.

    Every metric must be no worse, so that several of them raise no error rate; the one of `superiority` must be better.
    Where the policy allows it, a metric that is underpowered passes if its loss is within the margin as it stands.

    Args:
        measured: of `measure`.
        limits: margins, and what becomes of what is underpowered.
        alpha: error rate of each bound.
        superiority: a metric, or none.
    """
    margins = limits.margins.model_dump()
    rows = tuple(_row(item, float(margins[item.metric]), alpha) for item in measured)
    passed = bool(rows) and all(allows(row, limits) for row in rows)
    better = {row.metric for row in rows if row.status == BETTER}
    return rows, passed and superiority in {"none", *better}


def allows(row: Row, limits: Promote) -> bool:
    """Whether the policy lets a metric pass."""
    waived = row.status == UNDERPOWERED and limits.underpowered == "allow" and row.gain >= -row.margin
    return row.status in (BETTER, NO_WORSE) or waived


def _row(item: Measured, margin: float, alpha: float) -> Row:
    found = item.effect
    low, high, least = found.low(alpha), found.high(alpha), found.detectable(alpha)
    if low > 0:
        status = BETTER
    elif low >= -margin:
        status = NO_WORSE
    elif high < 0:
        status = WORSE
    else:
        status = UNDERPOWERED if least > margin else NOT_SHOWN
    return Row(item.metric, item.champion, item.challenger, found.gain, low, high, margin, least, status)


def sentence(row: Row) -> str:
    """One line about a metric, in points of 100."""
    words = f"{row.metric} {_share(row.champion)} -> {_share(row.challenger)}: gain {_points(row.gain)}"
    if math.isfinite(row.low):
        words += f" ({_points(row.low)} to {_points(row.high)}), margin {_share(row.margin)}"
        words += f", smallest regression seen {_share(row.detectable)}"
    else:
        words += ", of one seed, whose spread is not known"
    return f"{words}: {row.status}"


def markdown(comparison: Comparison) -> str:
    """The comparison as a table."""
    lines = [
        f"### Against the {comparison.against}, version {comparison.version}: "
        f"{'passed' if comparison.passed else 'not passed'}",
        "",
        counts(comparison),
        "",
        "| metric | champion | challenger | gain | interval | margin | smallest regression seen | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in comparison.rows:
        cells = (
            row.metric, _share(row.champion), _share(row.challenger), _points(row.gain),
            f"{_points(row.low)} to {_points(row.high)}", _share(row.margin), _share(row.detectable), row.status,
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {note}" for note in comparison.notes)]
    return "\n".join(lines).strip() + "\n"


def counts(comparison: Comparison) -> str:
    """What was compared, and how strictly."""
    return (
        f"{comparison.known:,} known and {comparison.unknown:,} unknown images that neither version has seen "
        f"({comparison.seen:,} left out); error rate of each bound {comparison.alpha:.2g}; "
        f"superiority asked for: {comparison.superiority}"
    )


def _share(value: float) -> str:
    return f"{100 * value:.2f}" if math.isfinite(value) else "not measurable"


def _points(value: float) -> str:
    return f"{round(100 * value, 2) + 0.0:+.2f}" if math.isfinite(value) else "unknown"
