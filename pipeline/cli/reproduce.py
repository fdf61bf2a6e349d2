"""`croft reproduce`: a version made again, output by output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import telemetry
from pipeline.console import make_console, plain_table, say
from pipeline.params import load_params
from pipeline.phrases import counted, shorten
from pipeline.process.reaper import guard

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.provenance.reproduce import Output, Reproduction

_NAMED = 10  # paths in one line
_SHOWN = 12  # digits of a hash


def reproduce_version(version: str | None, *, reuse_embeddings: bool = False, as_json: bool = False) -> bool:
    """Make a version again, print what differs, and return whether nothing does.

    Args:
        version: number or alias; the champion by default.
        reuse_embeddings: take them from the workspace's store.
        as_json: print JSON; the stages' own output goes to standard error then.
    """
    telemetry.disable()
    guard()
    name = load_params().register_.model
    from pipeline.provenance.reproduce import reproduce

    stream = sys.stderr if as_json else sys.stdout

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    done = reproduce(Path.cwd(), name, version, reuse_embeddings=reuse_embeddings, write=write)
    if as_json:
        facts = {**asdict(done), "kept": str(done.kept) if done.kept else None, "first": done.first}
        facts["outputs"] = [{**asdict(output), "equal": output.equal} for output in done.outputs]
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        print_reproduction(done, make_console())
    return not done.first


def print_reproduction(done: Reproduction, console: Console) -> None:
    """A row for each stage, then what differs and which stage is the first."""
    from rich.markup import escape

    title = f"{done.model} version {done.version}"
    if done.code:
        for stage, paths in done.code.items():
            say(f"{stage}: not as recorded: {shorten(paths, _NAMED)}", console)
        say(
            f"{title}: nothing was run. Commit {done.commit[:_SHOWN]} does not hold what made it, since it was made "
            f"with local changes; the first stage that differs is {done.first}",
            console,
        )
        return
    table = plain_table("Stage", "Outputs", "Equal", "Differing", words=1)
    for stage, outputs in _by_stage(done):
        differing = [output.path for output in outputs if not output.equal]
        row = (stage, f"{len(outputs):,}", f"{len(outputs) - len(differing):,}", shorten(differing, _NAMED))
        table.add_row(*map(escape, row))
    console.print(table)
    for line in _notes(done):
        say(line, console)
    if done.first:
        say(f"{title} was not reproduced: the first stage that differs is {done.first}", console)
    else:
        say(f"{title} was reproduced: {counted(len(done.outputs), 'hash')} are equal, bit for bit", console)


def _by_stage(done: Reproduction) -> Iterator[tuple[str, list[Output]]]:
    stages = dict.fromkeys(output.stage for output in done.outputs)
    for stage in stages:
        yield stage, [output for output in done.outputs if output.stage == stage]


def _notes(done: Reproduction) -> Iterator[str]:
    for output in done.outputs:
        if not output.equal:
            files = f" ({shorten(output.files, _NAMED)})" if output.files else ""
            yield f"{output.path}: {output.recorded[:_SHOWN]} -> {output.made[:_SHOWN] or 'not made'}{files}"
    if done.left_out:
        yield f"Not compared, since they name runs: {shorten(done.left_out, _NAMED)}"
    if done.same_environment is None:
        yield "The interpreter of the version was not recorded; this environment may be another one"
    elif not done.same_environment:
        yield "This environment is not the version's: `croft lineage` shows its lock file and interpreter"
    if done.kept:
        yield f"The checkout is kept: {done.kept}"
