"""The version-data flow: images from anywhere become a version of a data set under DVC, recorded in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipeline import telemetry
from pipeline.console import make_console
from pipeline.errors import CroftError, PipelineError
from pipeline.flows.dead import replace_dead_runs
from pipeline.flows.events import tell_data
from pipeline.flows.forms import OnBadImage
from pipeline.params import PARAMS_FILE, load_params
from pipeline.process.reaper import guard
from pipeline.sources import SourceOptions
from pipeline.versioning.adding import Addition
from pipeline.versioning.outcome import print_addition


@task(cache_policy=NO_CACHE, persist_result=False)
def run_step(step: Callable[[], None]) -> None:
    """One step of an addition; an expected error goes to the run's log as one line."""
    try:
        step()
    except CroftError as error:
        get_run_logger().error("%s", error)
        raise


@flow(name="version-data", persist_result=False)
def version_data(
    path: str,
    name: str,
    root: str = ".",
    kind: str = "auto",
    domain: str = "",
    open_set: str = "",
    benchmark: str = "",
    images: str = "",
    domains: bool = False,
    path_column: str = "",
    class_column: str = "",
    domain_column: str = "",
    group_column: str = "",
    link: bool = False,
    prune: bool = False,
    on_bad_image: OnBadImage = "",
) -> dict[str, object]:
    """Inspect, check and copy images into data/<name>, put them under DVC, push them, and record the version.

    Each option is a parameter of its own, more than a function should have, because Prefect types and shows the
    parameters of a deployment one by one.

    Args:
        path: a folder, or another source that `pipeline.sources` reads; relative to root, or absolute.
        name: of the data set.
        root: the project's folder, where .dvc is.
        kind, domain, open_set, benchmark, domains, path_column, class_column, domain_column, group_column: as
            `SourceOptions`.
        images: the same, relative to root, or absolute; "" for none.
        link: clone or hard-link files instead of writing them.
        prune: drop images that the source's domains and pools no longer have.
        on_bad_image: fail or skip; data.on_bad_image of params.yaml by default.
    Returns:
        name, version, md5, new: what the data set is now, and whether this run made that version.
    Raises:
        CroftError: nothing was added; or the version was added, but pushing or recording it failed.
    """
    telemetry.disable()
    guard()
    for sentence in replace_dead_runs():
        print(sentence)
    project = Path(root).resolve()
    data = load_params(project / PARAMS_FILE).data
    addition = Addition(
        Path(path),
        name,
        SourceOptions(
            kind,
            domain,
            open_set,
            benchmark,
            Path(images) if images else None,
            domains,
            path_column=path_column,
            class_column=class_column,
            domain_column=domain_column,
            group_column=group_column,
        ),
        root=project,
        data=data,
        link=link,
        prune=prune,
        on_bad_image=on_bad_image,
    )
    with addition.locked():
        for step in addition.steps():
            run_step.with_options(name=step.__name__, task_run_name=step.__name__)(step)
    print_addition(addition, make_console(), used=data.root)
    version = addition.version
    facts: dict[str, object] = {
        "name": name,
        "version": version.number if version else None,
        "md5": version.md5 if version else "",
        "new": addition.is_new,
    }
    if addition.is_new:
        tell_data(project, name, facts)
    if addition.troubles:  # the version exists all the same
        raise PipelineError("; ".join(addition.troubles))
    return facts
