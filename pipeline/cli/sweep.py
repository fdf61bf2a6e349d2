"""`croft sweep`: the grid of params.yaml, what it chose, and where to look further."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pipeline.cli.inputs import check_inputs
from pipeline.cli.run import print_stages, run_flow
from pipeline.console import make_console, plain_table
from pipeline.errors import ParamsError, PipelineError
from pipeline.methods.settings import check_methods
from pipeline.params import PARAMS_FILE, Params, load_params, parse_params
from pipeline.params.yaml_text import dump_yaml, parse_yaml
from pipeline.process.group import run_group
from pipeline.tables import read_json, write_text

if TYPE_CHECKING:
    from rich.console import Console

FOLDER = Path("artifacts/sweep")
USED = FOLDER / "params.yaml"  # what the sweep was run with
OWN = ("compute", "finetune", "sweep", "choose")  # sections that no stage before the sweep reads
BEST = 10  # configurations that are printed
SHOWN = ("validation_accuracy", "value", "accuracy", "auroc")  # of their measures; the report has all


def run_sweep(changes: Sequence[str] = ()) -> None:
    """Bring what the sweep needs up to date, run it, and print the best configurations by validation images.

    Args:
        changes: see `changed`; params.yaml itself stays as it is.
    Raises:
        CroftError: params.yaml or a change is wrong, or a stage failed.
    """
    params = changed(load_params(), changes)
    check_inputs(params)
    console = make_console()
    start = time.monotonic()
    print_stages(run_flow(["featurize"], console).stages, time.monotonic() - start, console)
    # No stage of the graph: nothing depends on a sweep, and `dvc status` would call it out of date for ever after.
    write_text(dump_yaml(params.model_dump(mode="json", by_alias=True)), USED)
    status = run_group([sys.executable, "-m", "stages.sweep", str(USED)], on_text=_show, terminal=sys.stdout.isatty())
    if status:
        raise PipelineError(f"the sweep failed with exit status {status}; its output is above")
    _print_best(console)
    console.print(f"Report: {(FOLDER / 'report.html').resolve().as_uri()}", soft_wrap=True)


def changed(params: Params, changes: Sequence[str]) -> Params:
    """Params with some keys replaced, checked as a whole.

    Args:
        changes: "section.key=value", the value in JSON or YAML; sections in OWN only.
    Raises:
        ParamsError: a change cannot be read, or gives no valid params.
    """
    content = params.model_dump(mode="json", by_alias=True)
    for change in changes:
        key, equals, text = change.partition("=")
        *parents, last = key.strip().split(".")
        if not equals or not parents:
            raise ParamsError(f"--set {change}: expected section.key=value, such as finetune.epochs=10")
        if parents[0] not in OWN:
            raise ParamsError(
                f"--set {change}: a sweep can change keys of {', '.join(OWN)} only; change others in {PARAMS_FILE}"
            )
        place = content
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict):
            raise ParamsError(f"--set {change}: {'.'.join(parents)} holds no keys")
        place[last] = _value(change, text)
    source = f"{PARAMS_FILE} with --set"
    return check_methods(parse_params(content, source), source)


def _value(change: str, text: str) -> object:
    try:
        return json.loads(text)  # which needs no space behind a colon
    except ValueError:
        pass
    try:
        return parse_yaml(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"--set {change}: the value is not valid YAML: {' '.join(str(error).split())}") from None


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _print_best(console: Console) -> None:
    import pandas as pd

    from pipeline.evaluation.sweep import by_choice, means_by_configuration
    from pipeline.report.sweep import TERMS
    from pipeline.report.wording import percent

    means = means_by_configuration(pd.read_parquet(FOLDER / "sweep.parquet"))
    best = by_choice(means).head(BEST)
    names = [TERMS[measure][0] for measure in SHOWN]
    table = plain_table("configuration", *names, title="Best by validation images, %")
    for name, row in zip(best.index, best.to_dict("records"), strict=True):
        table.add_row(str(name), *(percent(row[measure]) for measure in SHOWN))
    console.print(table)
    result = read_json(FOLDER / "sweep.json")
    settings = ", ".join(f"{name}: {value}" for name, value in result["chosen"].items())
    text = f"Chosen by validation images alone: {settings}; score: {result['score']}"
    console.print(text, highlight=False, soft_wrap=True)
