"""`croft compare`: two evaluations side by side on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline import telemetry
from pipeline.comparison.reference import Reference, parse_reference
from pipeline.console import make_console
from pipeline.errors import ParamsError
from pipeline.params import load_params


def compare(a: str, b: str | None, *, method: str, markdown: bool, as_json: bool) -> None:
    """Print how two evaluations of the working directory's project differ.

    Args:
        a, b: as `parse_reference` reads them; without b the workspace.
        method: of both; by default the one that each deployed.
        markdown, as_json: print that instead of a table for a terminal.
    Raises:
        CroftError: the two cannot be compared; says why.
    """
    telemetry.disable()
    if markdown and as_json:
        raise ParamsError("--markdown and --json: choose one of the two")
    params = load_params()
    model = params.register_.model
    first = parse_reference(a, model)
    second = parse_reference(b, model) if b is not None else Reference("workspace")
    from pipeline.comparison import show
    from pipeline.comparison.run import run_comparison

    comparison = run_comparison(
        Path.cwd(),
        first,
        second,
        method=method,
        resamples=params.evaluate.bootstrap,
        distance=params.data.near_duplicate_distance,
    )
    if as_json:
        print(json.dumps(show.as_json(comparison), indent=2, ensure_ascii=False, allow_nan=False))
    elif markdown:
        print(show.as_markdown(comparison))
    else:
        show.print_comparison(comparison, make_console())
