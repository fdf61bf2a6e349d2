"""`croft sweep`: the grid of params.yaml, what it chose, and where to look further."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.inputs import check_inputs
from pipeline.cli.run import print_stages, run_flow
from pipeline.console import make_console
from pipeline.errors import PipelineError
from pipeline.params import load_params
from pipeline.process import run_group
from pipeline.tables import read_json

if TYPE_CHECKING:
    from rich.console import Console

FOLDER = Path("artifacts/sweep")
SHOWN = 10  # configurations


def run_sweep() -> None:
    """Bring the sweep and what it needs up to date, and print the best configurations by source validation.

    Raises:
        CroftError: params.yaml is wrong, or a stage failed.
    """
    check_inputs(load_params())
    console = make_console()
    start = time.monotonic()
    print_stages(run_flow(["featurize"], console), time.monotonic() - start, console)
    # No stage of the graph: nothing depends on a sweep, and `dvc status` would call it out of date for ever after.
    status = run_group([sys.executable, "-m", "stages.sweep"], on_text=_show, terminal=sys.stdout.isatty())
    if status:
        raise PipelineError(f"the sweep failed with exit status {status}; its output is above")
    _print_best(console)
    console.print(f"Report: {(FOLDER / 'report.html').resolve().as_uri()}", soft_wrap=True)


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _print_best(console: Console) -> None:
    import pandas as pd
    from rich import box
    from rich.table import Table

    from pipeline.evaluation.sweep import MEASURES, means_by_configuration
    from pipeline.evaluation.wording import percent

    means = means_by_configuration(pd.read_parquet(FOLDER / "sweep.parquet"))
    best = means.sort_values("validation_accuracy", ascending=False, kind="stable").head(SHOWN)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="Best by source validation, %", title_justify="left")
    for name in ("configuration", "source validation", "held-out accuracy", "held-out AUROC"):
        table.add_column(name, justify="left" if name == "configuration" else "right")
    for name, row in zip(best.index, best.to_dict("records"), strict=True):
        table.add_row(str(name), *(percent(row[measure]) for measure in MEASURES))
    console.print(table)
    chosen = read_json(FOLDER / "sweep.json")["chosen"]
    settings = ", ".join(f"{name}: {value}" for name, value in chosen.items())
    console.print(f"Chosen by source validation alone: {settings}", highlight=False, soft_wrap=True)
