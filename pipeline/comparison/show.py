"""A comparison on a terminal, as Markdown for a pull request, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.comparison.evaluated import Evaluated
from pipeline.comparison.inputs import ARROW
from pipeline.comparison.paired import Coverage, Row
from pipeline.comparison.run import Comparison
from pipeline.console import plain_table, say
from pipeline.evaluation.compare import WORST
from pipeline.evaluation.difference import LOWER_IS_BETTER, Difference
from pipeline.evaluation.results import finite
from pipeline.phrases import counted, shorten
from pipeline.report.wording import OPEN_SET, headed, percent, points

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 40  # params or paths that are named
_CELL = 60  # characters of a value
_NOTHING = "nothing; method, params, data, code and commit are the same"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """What was compared, the table, what its columns mean, and what differs."""
    for line in [*_sides(comparison), *_covered(comparison.coverage)]:
        say(line, console)
    table = plain_table(*_columns(comparison), words=1)
    for cells in _cells(comparison):
        table.add_row(*cells)
    console.print(table)
    for line in _meanings(comparison):
        say(line, console)
    differing = list(_differing(comparison))
    say("What differs:" if differing else f"What differs: {_NOTHING}", console)
    for kind, text in differing:
        say(f"  {kind}: {text}", console)


def as_markdown(comparison: Comparison) -> str:
    """The same for a pull request."""
    lines = [f"- {line}" for line in [*_sides(comparison), *_covered(comparison.coverage)]]
    columns = _columns(comparison)
    lines += ["", _row(columns), _row(["---", *["---:"] * (len(columns) - 2), "---"])]
    lines += [_row(cells) for cells in _cells(comparison)]
    lines += ["", *(f"{line}  " for line in _meanings(comparison)), "", "**What differs**", ""]
    lines += [f"- {kind}: {_plain(text)}" for kind, text in _differing(comparison)] or [_NOTHING]
    return "\n".join(lines)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All numbers, 0 to 1; null where there is none."""
    return {
        "a": _side(comparison.a),
        "b": _side(comparison.b),
        "images": asdict(comparison.coverage),
        "resamples": comparison.resamples,
        "metrics": {row.metric: _numbers(row) for row in comparison.rows},
        "changes": {**asdict(comparison.changes), "commit": [comparison.a.side.commit, comparison.b.side.commit]},
    }


def _side(evaluated: Evaluated) -> dict[str, Any]:
    side = evaluated.side
    return {
        "title": side.title,
        "method": evaluated.method,
        "score": evaluated.score or None,
        "commit": side.commit,
        "dirty": side.dirty,
    }


def _numbers(row: Row) -> dict[str, Any]:
    found = row.difference
    numbers = {"a": row.a, "b": row.b, "difference": found.value, "low": found.low, "high": found.high}
    rest = {"spread": finite(found.spread), "seeds": found.seeds, "verdict": _verdict(found)}
    return {name: finite(value) for name, value in numbers.items()} | rest


def _sides(comparison: Comparison) -> Iterator[str]:
    for name, evaluated in (("A", comparison.a), ("B", comparison.b)):
        score = f", open-set score {evaluated.score}" if evaluated.score else ""
        yield f"{name}: {evaluated.side.title}, method {evaluated.method}{score}"


def _covered(coverage: Coverage) -> Iterator[str]:
    parts = [counted(coverage.known, "image") + " of known classes", counted(coverage.unknown, "unknown image")]
    where = f"held out: {', '.join(coverage.targets)}" if coverage.held_out else "no domain held out"
    seeds = f"{'seed' if len(coverage.seeds) == 1 else 'seeds'} {', '.join(map(str, coverage.seeds))}"
    yield f"Compared on {' and '.join(parts)} that both tested; {where}; {seeds}"
    left_out = [
        f"{counted(number, 'image')} {why}"
        for number, why in (
            (coverage.only_a, "that only A tested"),
            (coverage.only_b, "that only B tested"),
            (coverage.other_bytes, "whose bytes differ"),
        )
        if number
    ]
    if left_out:
        yield f"Left out: {', '.join(left_out)}"
    for name, targets in (("A", coverage.targets_only_a), ("B", coverage.targets_only_b)):
        if targets:
            yield f"Held out by {name} only, and left out: {', '.join(targets)}"


def _columns(comparison: Comparison) -> list[str]:
    seeds = len(comparison.coverage.seeds)
    spread = [f"± over {seeds} seeds"] if seeds > 1 else []
    return ["%", "A", "B", "B − A", "95 % interval", *spread, "B is"]


def _cells(comparison: Comparison) -> Iterator[list[str]]:
    for row in comparison.rows:
        found = row.difference
        spread = [percent(found.spread)] if len(comparison.coverage.seeds) > 1 else []
        interval = f"{points(found.low)} to {points(found.high)}"
        name = _name(row.metric, comparison.coverage)
        yield [name, percent(row.a), percent(row.b), points(found.value), interval, *spread, _verdict(found)]


def _name(metric: str, coverage: Coverage) -> str:
    where = "mean over held-out domains" if coverage.held_out else "unseen images of the training domains"
    names = {"accuracy": f"accuracy, {where}", WORST: "accuracy, worst held-out domain"}
    names |= {key: name for key, (name, _) in OPEN_SET.items()}
    return headed(metric, names[metric])


def _verdict(found: Difference) -> str:
    return "identical" if found.value == found.low == found.high == 0 else found.verdict


def _meanings(comparison: Comparison) -> Iterator[str]:
    yield (
        f"B − A in points. 95 % interval: {comparison.resamples:,} resamples of the images, the same for A and B, "
        "near-duplicates together. Unclear: the interval holds 0."
    )
    if len(comparison.coverage.seeds) > 1:
        yield "±: standard deviation over seeds of B − A within a seed."
    measured = {row.metric for row in comparison.rows}
    for metric, (name, meaning) in OPEN_SET.items():
        if metric in measured:
            better = "smaller is better" if metric in LOWER_IS_BETTER else "larger is better"
            yield f"{name}: {meaning}; {better}."


def _differing(comparison: Comparison) -> Iterator[tuple[str, str]]:
    differ = comparison.changes
    if comparison.a.method != comparison.b.method:
        yield "method", f"{comparison.a.method} {ARROW} {comparison.b.method}"
    if comparison.a.score != comparison.b.score:
        a, b = (side.score or "not recorded" for side in (comparison.a, comparison.b))
        yield "open-set score", f"{a} {ARROW} {b}; the open-set metrics compare method and score together"
    params = list(differ.params.items())
    for key, (a, b) in params[:_SHOWN]:
        yield "params", f"{key}: {_cut(a)} {ARROW} {_cut(b)}"
    if len(params) > _SHOWN:
        yield "params", f"and {len(params) - _SHOWN} more"
    for path, text in comparison.inputs.items():
        yield "input", f"{path}: {text}"
    if differ.code:
        yield "code", shorten(differ.code, _SHOWN)
    a, b = (_commit(item) for item in (comparison.a, comparison.b))
    if a != b:
        yield "commit", f"{a} {ARROW} {b}"


def _commit(evaluated: Evaluated) -> str:
    side = evaluated.side
    return (side.commit[:12] or "unknown") + (" with local changes" if side.dirty else "")


def _cut(value: str) -> str:
    if not value:
        return "not set"
    return value if len(value) <= _CELL else f"{value[:_CELL]}…"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{character}" if character in "|*_`<>[]\\" else character for character in text)
