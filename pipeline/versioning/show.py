"""Data sets, versions and differences as text on a terminal or in a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.console import plain_table, say
from pipeline.phrases import counted, shorten
from pipeline.versioning.contents import Counts
from pipeline.versioning.difference import Difference
from pipeline.versioning.history import Version
from pipeline.versioning.workspace import human

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipeline.versioning.overview import Overview

ROWS = 40  # classes that a table shows; the rest are counted
NAMED = 20  # files of each kind that a difference names
_COLUMNS = 8  # domains beside one another; with more, each domain has a row and classes are counted
_BREAK = "\n  "
_KINDS = ("added", "removed", "changed", "moved")


def print_counts(counts: Counts, console: Console) -> None:
    """Domains x classes, then the open sets."""
    if counts.domains:
        console.print(_crossed(counts) if len(counts.domains) <= _COLUMNS else _summed("Domain", counts.domains))
    if counts.pools:
        console.print(_summed("Open set", counts.pools))


def _crossed(counts: Counts) -> Table:
    from rich.markup import escape

    table = plain_table("Class", *map(escape, counts.domains), "all")
    classes = counts.classes
    columns: list[Mapping[str, int]] = [*counts.domains.values()]
    columns.append(sum(counts.domains.values(), Counter()))
    for name in classes[:ROWS]:
        table.add_row(escape(name), *(f"{column[name]:,}" if column.get(name) else "–" for column in columns))
    if len(classes) > ROWS:
        sizes = [columns[-1][name] for name in classes[ROWS:]]
        rest = f"{len(classes) - ROWS} more, {min(sizes):,} to {max(sizes):,} images each"
        table.add_row(rest, *(f"{sum(column.get(name, 0) for name in classes[ROWS:]):,}" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{sum(column.values()):,}" for column in columns))
    return table


def _summed(title: str, groups: Mapping[str, Mapping[str, int]]) -> Table:
    from rich.markup import escape

    table = plain_table(title, "Classes", "Images", "Fewest", "Most")
    for name in sorted(groups):
        sizes = groups[name].values()
        table.add_row(escape(name), *(f"{n:,}" for n in (len(sizes), sum(sizes), min(sizes), max(sizes))))
    return table


def print_version(name: str, version: Version, counts: Counts, console: Console) -> None:
    """One line of what a version is, and its tables."""
    parts = [counted(version.images, "image"), human(version.bytes)]
    if counts.domains:
        parts += [counted(len(counts.domains), "domain"), counted(len(counts.classes), "class")]
    if counts.pools:
        parts.append(counted(len(counts.pools), "open set"))
    say(f"{name} version {version.number}: {', '.join(parts)}", console)
    say(f"  DVC {version.md5}, {version.date}, from {version.source}", console)
    print_counts(counts, console)


def print_difference(difference: Difference, console: Console) -> None:
    """How many files changed where, and the first names of each kind."""
    from rich.markup import escape

    table = plain_table("Domain", "Class", *(kind.capitalize() for kind in _KINDS), words=2)
    rows = difference.by_class()
    for (group, class_), numbers in list(rows.items())[:ROWS]:
        table.add_row(
            escape(group), escape(class_), *(f"{numbers[kind]:,}" if kind in numbers else "" for kind in _KINDS)
        )
    if len(rows) > ROWS:
        rest = list(rows.values())[ROWS:]
        table.add_row("...", f"{len(rest)} more", *(f"{sum(n.get(kind, 0) for n in rest):,}" for kind in _KINDS))
    if rows:
        console.print(table)
    for kind in _KINDS:
        paths = [" -> ".join(item) if isinstance(item, tuple) else item for item in getattr(difference, kind)]
        print_names(kind, paths, console)


def headline(difference: Difference) -> str:
    """`12 added, 1 moved`."""
    numbers = [f"{len(getattr(difference, kind)):,} {kind}" for kind in _KINDS if getattr(difference, kind)]
    return ", ".join(numbers) or "no differences"


def print_names(title: str, names: Sequence[str], console: Console) -> None:
    """The first names and how many more there are; nothing for none."""
    if not names:
        return
    say(f"{title}:", console)
    say(f"  {shorten(names, NAMED, separator=_BREAK)}", console)


def print_versions(versions: Sequence[Version], present: int | None, console: Console) -> None:
    """The history, newest first; the present version carries a star."""
    from rich.markup import escape

    table = plain_table("Version", "Date", "DVC", "From", "Images", "Size", words=4)
    for version in list(reversed(versions))[:ROWS]:
        star = " *" if version.number == present else ""
        size = (f"{version.images:,}", human(version.bytes))
        table.add_row(f"{version.number}{star}", version.date[:10], version.md5[:12], escape(version.source), *size)
    console.print(table)


def print_overview(rows: Sequence[Overview], console: Console) -> None:
    """All data sets; the one that params.yaml uses carries a star."""
    table = plain_table(
        "Name", "DVC", "Files in", "Version", "Images", "Classes", "Domains", "Open sets", "Size", words=3
    )
    for row in rows:
        snapshot, counts = row.snapshot, row.counts
        number = "–" if snapshot.number is None else str(snapshot.number)
        sizes = (counts.images, len(counts.classes), len(counts.domains), len(counts.pools)) if counts else ()
        numbers = [f"{size:,}" for size in sizes] or ["?"] * 4
        star, pointer = " *" if row.used else "", snapshot.pointer
        words = (f"{snapshot.name}{star}", pointer.md5[:12], ", ".join(row.places) or "remote only")
        table.add_row(*words, number, *numbers, human(pointer.bytes))
    console.print(table)
    if any(row.used for row in rows):
        say("* data.root of params.yaml", console)
