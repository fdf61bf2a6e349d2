"""`croft gc`: what can be freed, and what was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import telemetry
from pipeline.console import make_console, say
from pipeline.params import load_params
from pipeline.phrases import counted, shorten
from pipeline.versioning.workspace import human

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.upkeep.collect import Garbage, Item

_NAMED = 20  # things of one kind
_KINDS = {
    "run": "deleted run",
    "model": "model of a deleted run",
    "checkout": "checkout of a run that ended",
    "addition": "unfinished addition of data",
    "temporary": "temporary file",
    "branch": "merged branch of a scheduled run",
}
_PLURALS = {"model": "models of deleted runs", "checkout": "checkouts of runs that ended"}
_PLURALS["addition"] = "unfinished additions of data"
_PLURALS["branch"] = "merged branches of scheduled runs"


def free_disk(*, dry_run: bool) -> None:
    """Free what nobody needs and print it; with `dry_run` print it only."""
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.upkeep.collect import collect, find_garbage

    console, garbage = make_console(), find_garbage(Path.cwd(), name)
    freed, failed = list(garbage.items), []
    if not dry_run:
        done = list(collect(garbage.items))
        freed = [item for item, trouble in done if not trouble]
        failed = [f"{item.name}: not freed: {trouble}" for item, trouble in done if trouble]
    _print_items(freed, console)
    for line in failed:
        say(line, console)
    total = human(sum(item.bytes for item in freed))
    say(f"{total} would be freed; nothing was changed (--dry-run)" if dry_run else f"{total} freed", console)
    for line in _notes(garbage):
        say(line, console)


def _print_items(items: Sequence[Item], console: Console) -> None:
    for kind, noun in _KINDS.items():
        of_kind = [item for item in items if item.kind == kind]
        if of_kind:
            sized = kind != "branch"  # a name, whose commit stays
            total = f", {human(sum(item.bytes for item in of_kind))}" if sized else ""
            say(f"{counted(len(of_kind), noun, _PLURALS.get(kind))}{total}:", console)
            lines = [f"{item.name} ({human(item.bytes)})" if sized else item.name for item in of_kind]
            say(f"  {shorten(lines, _NAMED, separator=_BREAK)}", console)


_BREAK = "\n  "


def _notes(garbage: Garbage) -> list[str]:
    notes = [f"Kept: {line}" for line in garbage.kept[:_NAMED]]
    if len(garbage.kept) > _NAMED:
        notes.append(f"Kept: {len(garbage.kept) - _NAMED:,} more")
    if garbage.server:
        notes.append(f"The store is {garbage.server}: its operator frees the disk of deleted ones there (`mlflow gc`)")
    if garbage.unmerged:
        stay = "stays" if garbage.unmerged == 1 else "stay"
        notes.append(
            f"{counted(garbage.unmerged, 'branch')} of scheduled runs {stay}, merged into no other: `git branch --list "
            "'croft/runs/*'` lists them, `git branch -D NAME` deletes one"
        )
    return [
        *notes,
        "DVC's cache is left as it is. To free what no commit, no experiment and not the workspace names: "
        "`dvc gc --workspace --all-commits --all-experiments` (first with --dry); results that were never committed go",
    ]
