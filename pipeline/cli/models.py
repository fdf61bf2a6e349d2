"""`croft promote`, `croft rollback`, `croft history`, `croft lineage`: the registry on a terminal."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline import telemetry
from pipeline.cli.stores import store_lines, store_name
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


def print_lineage(version: str | None) -> None:
    """Print version, runs, hashes, verdict and journal."""
    telemetry.disable()
    name = load_params().register_.model
    from pipeline.registry.lineage import lineage

    print_facts(lineage(name, version), make_console())


def print_facts(facts: dict[str, Any], console: Console) -> None:
    """The mapping that `pipeline.registry.lineage.lineage` returns, as text."""
    from rich.markup import escape

    aliases = f" ({', '.join(facts['aliases'])})" if facts["aliases"] else ""
    title = f"{facts['model']} version {facts['version']}{aliases}, registered {_moment(facts['created'])}"
    place = f"{facts['tracking_uri']} ({store_name(facts['store'])})" if facts["store"] else facts["tracking_uri"]
    say(f"{title} in {place}" if facts["registered_here"] else f"{title} in another store than {place}", console)
    table = plain_table("Stage", "Run", "Status", "Started", "Commit", words=5)
    for stage, run in facts["stages"].items():
        status = f"in {store_name(run['store'])}" if "store" in run else run["status"]
        cells = (stage, run["run_id"], status, _moment(run.get("started")), str(run.get("git_commit") or "")[:12])
        table.add_row(*map(escape, cells))
    console.print(table)
    for line in store_lines(facts["stages"].values()):
        say(line, console)
    for key, value in facts["tags"].items():
        console.print(f"  {escape(key)}: {escape(str(value))}", highlight=False, soft_wrap=True)
    verdict = facts["verdict"]
    if verdict:
        forced = ", forced" if verdict.get("forced") else ""
        console.print(f"Gate: {'passed' if verdict['passed'] else 'refused'}{forced}", highlight=False)
        for _, passed, sentence in verdict["reasons"]:
            console.print(f"  {'pass' if passed else 'FAIL'}  {escape(sentence)}", highlight=False, soft_wrap=True)
    for entry in facts["journal"]:
        reason = f": {escape(entry['reason'])}" if entry["reason"] else ""
        change = f"{entry['before'] or 'none'} -> {entry['after']}"
        console.print(f"  {entry['time']} {entry['action']} {change}{reason}", highlight=False, soft_wrap=True)


def _moment(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds") if seconds else ""
