"""`croft run`: what was done to every stage, the results, and where to look further."""

from __future__ import annotations

import logging
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from pipeline import telemetry
from pipeline.cli.inputs import check_inputs
from pipeline.console import make_console, plain_table, say
from pipeline.methods.settings import load_checked
from pipeline.phrases import counted
from pipeline.process.reaper import guard
from pipeline.registry.registration import REGISTRATION, read_registration
from pipeline.tables import read_json

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.dvc_runner.reproduce import StageResult
    from pipeline.flows.server import LocalApi
    from pipeline.flows.train import Outcome
    from pipeline.registry.standing import Standing

METRICS = Path("artifacts/evaluation/metrics.json")
REPORT = Path("artifacts/evaluation/report.html")
SWEEP = Path("artifacts/sweep/report.html")


def run_pipeline(targets: Sequence[str]) -> None:
    """Run the train flow in the working directory and print stages, results and where to look further.

    Raises:
        CroftError: params.yaml is wrong, or a stage failed.
    """
    params = load_checked()
    check_inputs(params)
    console = make_console()
    start = time.monotonic()
    outcome = run_flow(targets, console)
    print_stages(outcome.stages, time.monotonic() - start, console)
    if METRICS.is_file():
        from pipeline.report.console import print_metrics

        print_metrics(read_json(METRICS), console)
    if REPORT.is_file():
        console.print(f"Report: {REPORT.resolve().as_uri()}", soft_wrap=True)
    if SWEEP.is_file():
        console.print(f"Last sweep: {SWEEP.resolve().as_uri()}", soft_wrap=True)
    if outcome.standing is not None:
        _print_standing(outcome.standing, console)
    _print_commands(console)


def run_flow(targets: Sequence[str], console: Console) -> Outcome:
    """Bring the targets and what they need up to date; all stages of the root graph without targets."""
    root = Path.cwd()
    # Three slow starts side by side: Prefect's API and DVC in processes of their own, MLflow and Prefect here.
    console.print("Looking for what is out of date ...", highlight=False)
    api = begin_flow(root)
    from pipeline.dvc_runner.survey import survey_ahead

    survey_ahead(root)
    from pipeline.flows.start import start
    from pipeline.flows.train import train
    from pipeline.tracking.client import connect

    connect(root)
    await_api(api)
    return start(train, api, root=str(root), targets=list(targets) or None)


def begin_flow(root: Path) -> LocalApi | None:
    """Prepare this process for a flow: no telemetry, no child that outlives it, and a Prefect API that starts.

    Raises:
        CroftError: DVC or MLflow cannot work in this folder.
    """
    from pipeline.dvc_runner.place import check_place
    from pipeline.tracking.client import check_store

    check_place(root)
    check_store(root)
    telemetry.disable()
    logging.raiseExceptions = False  # Prefect prints a log that cannot be sent amid the line that says why
    guard()
    signal.signal(signal.SIGTERM, _leave)
    from pipeline.flows.server import start_api

    return start_api(root)


def await_api(api: LocalApi | None) -> None:
    """Return once Prefect's API answers: the one that was started, or the one that PREFECT_API_URL names.

    Raises:
        PipelineError: it does not.
    """
    if api is not None:
        api.wait()
        return
    from pipeline.flows.given_api import check_given_api

    check_given_api()


def _leave(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def print_stages(results: Sequence[StageResult], seconds: float, console: Console) -> None:
    """The table of stages, and how many were executed."""
    from pipeline.dvc_runner.graph import label
    from pipeline.dvc_runner.reproduce import EXECUTED, RESTORED

    table = plain_table("Stage", "State", "Seconds", words=2)
    colours = {EXECUTED: "green", RESTORED: "cyan"}
    for result in results:
        colour = colours.get(result.state, "dim")
        duration = f"{result.seconds:.1f}" if result.seconds else ""
        table.add_row(label(result.stage), f"[{colour}]{result.state.replace('-', ' ')}[/{colour}]", duration)
    console.print(table)
    executed = sum(result.state == EXECUTED for result in results)
    restored = sum(result.state == RESTORED for result in results)
    parts = [f"{counted(executed, 'stage')} executed"]
    if restored:
        parts.append(f"{restored} restored from DVC's cache")
    ending = ": everything is up to date" if not executed and not restored else ""
    console.print(f"{', '.join(parts)}{ending} ({seconds:.0f} s)", highlight=False)
    console.print()


def _print_standing(standing: Standing, console: Console) -> None:
    name, version = standing.model, standing.version
    if standing.trouble:
        say(f"{REGISTRATION} names {name} version {version}: {standing.trouble}", console)
        for line in _elsewhere() if standing.elsewhere else ():
            say(line, console)
        return
    if standing.restored:
        say(f"{name} version {version}, registered by an earlier run, is the challenger again", console)
    if standing.verdict is not None:
        from pipeline.cli.models import print_verdict

        print_verdict(name, standing.verdict, console)
    say(f"Model: models:/{name}/{version} ({', '.join(standing.aliases)})", console)
    if standing.champion and standing.champion != version:
        say(f"Champion: version {standing.champion}; `croft promote` puts version {version} through the gate", console)


def _elsewhere() -> list[str]:
    from pipeline.cli.stores import how_to_open, store_name
    from pipeline.registry.runs import RUNS, read_identities

    made = read_identities(RUNS).get(read_registration(REGISTRATION).run_id)
    return [
        *([f"It was made in {store_name(made.store)}; to use that, {how_to_open(made.server)}"] if made else []),
        "To register the model here: dvc repro --force --single-item register",
    ]


def _print_commands(console: Console) -> None:
    from rich.markup import escape

    from pipeline.tracking.client import shown_uri, tracking_uri

    uri = shown_uri(tracking_uri(Path.cwd()))
    look = f"mlflow ui --backend-store-uri {shlex.quote(uri)}" if uri.startswith("sqlite") else uri
    console.print()
    console.print("Look further:")
    for command, what in (
        (look, "runs, parameters, models"),
        ("dvc plots show", "curves"),
        ("dvc metrics show", "numbers"),
        ("croft sweep", "a grid of settings, chosen by validation images"),
        ("croft lineage", "what made the champion"),
        ("croft promote", "challenger through the gate"),
    ):
        console.print(f"  {escape(command)}  [dim]{what}[/dim]", highlight=False, soft_wrap=True)
