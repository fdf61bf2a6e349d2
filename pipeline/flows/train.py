"""The train flow: every stage of the DVC graph as one Prefect task, under one MLflow parent run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment

from pipeline import telemetry
from pipeline.dvc_runner.graph import is_input, label
from pipeline.dvc_runner.reproduce import UP_TO_DATE, StageResult, reproduce
from pipeline.dvc_runner.survey import take_survey
from pipeline.errors import DataError, PipelineError, TrackingError
from pipeline.flows.dead import replace_dead_runs
from pipeline.flows.gate import STAGE, settle_registered
from pipeline.process.reaper import guard
from pipeline.registry.registration import REGISTRATION
from pipeline.tracking.identity import read_identity
from pipeline.tracking.parents import close_parent, close_stale_parents, open_parent
from pipeline.tracking.runs import PARENT_VARIABLE

if TYPE_CHECKING:
    from pipeline.registry.standing import Standing


@task(cache_policy=NO_CACHE, persist_result=False)
def run_stage(root: str, stage: str, changes: str, needed: bool, extra: dict[str, str]) -> StageResult:
    """Bring one stage up to date; no `dvc` process is started if nothing that it depends on has changed."""
    logger = get_run_logger()
    if not needed:
        logger.info("up to date")
        return StageResult(stage, UP_TO_DATE, 0.0)
    logger.info("started")
    try:
        result = reproduce(Path(root), stage, changes=changes, extra=extra, write=_write, terminal=sys.stdout.isatty())
    except PipelineError as error:
        logger.error("%s", error)
        raise
    logger.info("%s in %.1f s", result.state, result.seconds)
    return result


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    Attributes:
        stages: what became of each stage, in order.
        standing: where the registered version stands; None where the run did not reach the stage that registers.
    """

    stages: list[StageResult]
    standing: Standing | None = None


def run_graph(root: Path, targets: Sequence[str], *, name: str, retries: int = 0) -> Outcome:
    """Run the targets and what they need, in order, as tasks of the current flow; then the gate (`flows/gate.py`).

    The parent run's id travels to the stages, and the parent carries `stage.<name>.run_id` and `stage.<name>.state`.

    Raises:
        PipelineError: a stage failed; those after it are not started. Where the parent run could not be ended either,
            a note says so.
    """
    telemetry.disable()
    guard()
    _tell(replace_dead_runs())
    survey = take_survey(root)
    order = survey.graph.order(targets)
    _tell([f"MLflow run {run} is marked as killed: its process is gone" for run in close_stale_parents(root=root)])
    parent = open_parent(name, {"targets": " ".join(targets)} if targets else {}, root=root)
    extra = {PARENT_VARIABLE: parent}
    results: list[StageResult] = []
    moved: set[str] = set()
    standing = None
    try:
        for stage in order:
            changes = survey.changed.get(stage, "")
            if not changes and is_input(stage):
                continue
            needed = bool(changes) or not moved.isdisjoint(survey.graph.needs[stage])
            task_of_stage = run_stage.with_options(name=label(stage), task_run_name=label(stage), retries=retries)
            result = task_of_stage(str(root), stage, changes, needed, extra)
            results.append(result)
            if result.state != UP_TO_DATE:
                moved.add(stage)
        if STAGE in map(label, order) and (root / REGISTRATION).is_file():
            standing = settle_registered(str(root))
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        try:
            close_parent(parent, status, _stage_tags(root, results), root=root)
        except TrackingError as consequence:  # the first error is the one to report
            error.add_note(f"MLflow run {parent}, the parent of the stages' runs, is still open: {consequence}")
        raise
    close_parent(parent, "FINISHED", _stage_tags(root, results), root=root)
    return Outcome(results, standing)


def _tell(sentences: Sequence[str]) -> None:
    """Print them, where no worker shows this run's log."""
    if deployment.id is None:
        _write("".join(f"{sentence}\n" for sentence in sentences))


def _stage_tags(root: Path, results: Sequence[StageResult]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for result in results:
        name = label(result.stage)
        tags[f"stage.{name}.state"] = result.state
        try:
            tags[f"stage.{name}.run_id"] = read_identity(root / "artifacts" / "runs" / f"{name}.json").run_id
        except DataError:  # inputs and the built-in data have no run of their own
            continue
    return tags


@flow(name="train", persist_result=False)
def train(root: str = ".", targets: list[str] | None = None, retries: int = 0) -> Outcome:
    """Bring the targets (all stages by default) and everything that they need up to date.

    Args:
        root: the project's folder, where dvc.yaml is.
        targets: names of stages.
        retries: how often a failed stage is tried again.
    """
    return run_graph(Path(root).resolve(), targets or [], name="train", retries=retries)
