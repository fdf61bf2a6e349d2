"""What every stage does around its one call: check params, end with DVC, print errors as one line, track the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import telemetry
from pipeline.console import one_line_errors
from pipeline.methods.settings import load_checked
from pipeline.params import PARAMS_FILE, Params
from pipeline.process.parent import die_with_parent
from pipeline.tracking.client import check_store
from stages._paths import RUNS


@dataclass(frozen=True)
class Record:
    """What a stage reports to the tracker, once its outputs are written.

    Attributes:
        metrics: finite numbers by name.
        artifacts: files or folders to show in the run; small ones (DVC holds the bytes).
        datasets: (name, digest, source) of what the stage read.
        series: name to (step, value) pairs.
        tags: further facts as text.
        within: called with the run's id before the run ends; for what belongs to the run itself.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Sequence[Path] = ()
    datasets: Sequence[tuple[str, str, str]] = ()
    series: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    within: Callable[[str], object] | None = None


def stage(name: str, sections: Sequence[str]) -> Callable[[Callable[[Params], Record]], Callable[..., None]]:
    """Make a function the main of stage `name`, which reads only these `sections` of params.yaml.

    A test compares `sections` with the stage's `params` in dvc.yaml. A section that is not listed is absent from the
    params that the function gets, so reading it fails at once.

    Returns:
        A decorator whose result is the stage's main; it reads params.yaml, or the file that it is given.
    """

    def decorate(body: Callable[[Params], Record]) -> Callable[..., None]:
        def main(file: Path = PARAMS_FILE) -> None:
            telemetry.disable()
            die_with_parent()
            started = time.time()
            with one_line_errors(f"stage {name!r}: "):
                check_store(Path.cwd())
                params = load_checked(file)
                record = body(_only(params, sections))
                _track(name, started, params, sections, record)

        main.sections = tuple(sections)  # type: ignore[attr-defined]
        main.stage = name  # type: ignore[attr-defined]
        return main

    return decorate


def _attribute(section: str) -> str:
    return next(name for name, info in Params.model_fields.items() if (info.alias or name) == section)


def _only(params: Params, sections: Sequence[str]) -> Params:
    only = params.model_copy()
    for name in Params.model_fields.keys() - {_attribute(section) for section in sections}:
        del only.__dict__[name]
    return only


def _track(name: str, started: float, params: Params, sections: Sequence[str], record: Record) -> None:
    from pipeline.tracking.parents import close_stale_parents, killed_sentence
    from pipeline.tracking.runs import stage_run

    for run_id in close_stale_parents():  # `dvc repro` has no flow around it that would do so
        print(killed_sentence(run_id), flush=True)
    values = {s: getattr(params, _attribute(s)).model_dump(mode="json") for s in sections}
    with stage_run(name, started=started, params=values, tags=record.tags, out=RUNS / f"{name}.json") as run:
        run.log(metrics=record.metrics, artifacts=record.artifacts, datasets=record.datasets, series=record.series)
        if record.within is not None:
            record.within(run.run_id)
