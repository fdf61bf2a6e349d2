"""The train flow: every stage of the DVC graph as one Prefect task, under one MLflow parent run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment

from pipeline import telemetry
from pipeline.dvc_runner.graph import is_input, label
from pipeline.dvc_runner.reproduce import EXECUTED, UP_TO_DATE, StageResult, reproduce
from pipeline.dvc_runner.survey import take_survey
from pipeline.errors import CroftError, DataError, PipelineError, TrackingError
from pipeline.flows.dead import replace_dead_runs
from pipeline.flows.events import FAILED, tell_version
from pipeline.flows.forms import DataVersions, Hours, Policy, Retries, Superiority
from pipeline.flows.gate import STAGE, Rules, settle
from pipeline.flows.place import bring, entered, publish_results
from pipeline.process.reaper import guard
from pipeline.registry.registration import REGISTRATION
from pipeline.tracking.identity import read_identity
from pipeline.tracking.parents import close_parent, close_stale_parents, killed_sentence, open_parent
from pipeline.tracking.runs import PARENT_VARIABLE

if TYPE_CHECKING:
    from pipeline.registry.standing import Standing

_FIRST = Rules()


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


Finish = Callable[[Sequence[StageResult]], "Standing | None"]


def run_graph(
    root: Path, targets: Sequence[str], *, name: str, retries: int = 0, finish: Finish | None = None
) -> Outcome:
    """Run the targets and what they need, in order, as tasks of the current flow; then `finish`.

    The parent run's id travels to the stages, and the parent carries `stage.<name>.run_id` and `stage.<name>.state`.

    Args:
        root: where dvc.yaml is.
        targets: names of stages; all by default.
        name: of the parent run.
        retries: how often a failed stage is tried again.
        finish: called with what became of the stages, while the parent run is open.
    Raises:
        PipelineError: a stage failed; those after it are not started. Where the parent run could not be ended either,
            a note says so.
    """
    survey = take_survey(root)
    order = survey.graph.order(targets)
    _tell([killed_sentence(run) for run in close_stale_parents(root=root)])
    parent = open_parent(name, {"targets": " ".join(targets)} if targets else {}, root=root)
    extra = {PARENT_VARIABLE: parent}
    results: list[StageResult] = []
    moved: set[str] = set()
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
        standing = finish(results) if finish else None
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        try:
            close_parent(parent, status, _stage_tags(root, results), root=root)
        except TrackingError as consequence:  # the first error is the one to report
            error.add_note(f"MLflow run {parent}, the parent of the stages' runs, is still open: {consequence}")
        raise
    close_parent(parent, "FINISHED", _stage_tags(root, results), root=root)
    return Outcome(results, standing)


def run_part(
    root: Path,
    targets: Sequence[str],
    *,
    name: str,
    revision: str = "",
    data: DataVersions | None = None,
    retries: int = 0,
    rules: Rules = _FIRST,
) -> Outcome:
    """`run_graph` in the project, or in the checkout that root is: inputs, stages, results published, then the gate.

    Args:
        root, targets, name, retries: as in `run_graph`.
        revision, data: that the checkout was made for.
        rules: how a version that was registered is promoted.
    Raises:
        CroftError: a stage failed, or results could not be published; an event says so where the policy is not first.
    """
    telemetry.disable()
    guard()
    _tell(replace_dead_runs())

    def finish(results: Sequence[StageResult]) -> Standing | None:
        if checkout is not None:
            publish_results(str(root), targets)
        states = {label(result.stage): result.state for result in results}
        if STAGE not in states or not (root / REGISTRATION).is_file():
            return None
        return settle(root, rules, new=states[STAGE] == EXECUTED)

    try:
        with entered(root, revision, data) as checkout:
            if checkout is not None:
                bring(str(root), targets)
            return run_graph(root, targets, name=name, retries=retries, finish=finish)
    except CroftError as error:
        if rules.policy != "first":
            tell_version(FAILED, root, f"{name} failed: {error}")
        raise


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
def train(
    root: str = ".",
    revision: str = "",
    data: DataVersions | None = None,
    targets: list[str] | None = None,
    retries: Retries = 0,
    policy: Policy = "first",
    superiority: Superiority | None = None,
    hours: Hours = 24.0,
) -> Outcome:
    """Bring the targets (all stages by default) and everything that they need up to date, and settle the version.

    Args:
        root: the project's folder, where dvc.yaml is.
        revision: for deployments: run in a clean checkout of this branch, tag or commit.
        data: for deployments: data sets by name, each "latest" or the number of a version.
        targets: names of stages.
        retries: how often a failed stage is tried again.
        policy: first (promote only where there is no champion), auto (promote what passes the gate), ask (a person
            decides) or never (store the verdict only).
        superiority: metric that must be better than the champion's, in place of that of params.yaml.
        hours: that a person has to answer with `ask`; afterwards the version is held.
    """
    rules = Rules(policy, superiority, hours)
    folder = Path(root).resolve()
    return run_part(
        folder, targets or [], name="train", revision=revision, data=data, retries=retries, rules=rules
    )  # fmt: skip
