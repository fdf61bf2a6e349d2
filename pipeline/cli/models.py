"""`croft promote`, `croft rollback`, `croft history`: the registry on a terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipeline import telemetry
from pipeline.console import make_console, plain_table, say
from pipeline.params import load_params

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.registry.gate import Verdict


def promote_version(version: str | None, *, force: bool, reason: str, dry_run: bool = False) -> bool:
    """Judge a version by the gate, print the verdict and return whether it passed."""
    telemetry.disable()
    params = load_params()
    from pipeline.registry.promotion import promote

    name = params.register_.model
    verdict = promote(name, version, limits=params.promote, force=force, reason=reason, dry_run=dry_run)
    print_verdict(name, verdict, make_console(), dry_run=dry_run)
    return verdict.passed


def print_verdict(name: str, verdict: Verdict, console: Console, *, dry_run: bool = False) -> None:
    """Print one line for each check, then what happened to the alias."""
    from rich.markup import escape

    for check in verdict.reasons:
        mark = "[green]pass[/green]" if check.passed else "[red]FAIL[/red]"
        console.print(f"  {mark}  {escape(check.sentence)}", highlight=False, soft_wrap=True)
    if verdict.promoted:
        before = f" (before: version {verdict.champion})" if verdict.champion else ""
        forced = f"; forced: {escape(verdict.reason)}" if verdict.forced else ""
        ending = f"{name} version {verdict.version} is champion{before}{forced}"
    elif dry_run and verdict.version != verdict.champion:
        would = "would become" if verdict.passed else "would not become"
        ending = f"{name} version {verdict.version} {would} champion; nothing was changed (--dry-run)"
    elif verdict.passed:
        ending = f"{name} version {verdict.version} stays champion"
    else:
        kept = f"version {verdict.champion} stays champion" if verdict.champion else "there is no champion"
        ending = f"{name} version {verdict.version} was not promoted; {kept}"
    console.print(ending, highlight=False, soft_wrap=True)


def roll_back(*, to: str = "", reason: str = "") -> None:
    """Move the alias champion back and print the old and the new champion."""
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.registry.promotion import rollback

    before, now = rollback(name, to=to, reason=reason)
    make_console().print(f"{name} version {now} is champion again (before: version {before})", highlight=False)


def print_history(*, as_json: bool) -> None:
    """Print every move of the alias champion, as a table or as JSON."""
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.registry.history import history

    entries = history(name)
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    if not entries:
        say(f"{name}: no version has been champion yet; run `croft promote`", make_console())
        return
    from rich.markup import escape

    table = plain_table("Epoch", "Time", "Action", "Champion", "Who", "Verdict", "Reason", words=7)
    for entry in entries:
        over = f" (over {entry.over})" if entry.over else ""
        cells = (
            str(entry.epoch or ""), entry.time[:19].replace("T", " "), f"{entry.action}{' forced' * entry.forced}",
            f"{entry.before or 'none'} -> {entry.after or 'none'}{over}", entry.who, entry.verdict, entry.reason,
        )  # fmt: skip
        table.add_row(*map(escape, cells))
    make_console().print(table)
