"""The version-data flow: images from anywhere become a version of a data set under DVC, recorded in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from rich.console import Console

from pipeline import telemetry
from pipeline.console import make_console
from pipeline.errors import CroftError, PipelineError
from pipeline.params import PARAMS_FILE, load_params
from pipeline.process import guard
from pipeline.versioning.adding import Addition
from pipeline.versioning.contents import count
from pipeline.versioning.history import history_path
from pipeline.versioning.names import FOLDER
from pipeline.versioning.pointer import pointer_path
from pipeline.versioning.show import headline, print_difference, print_names, print_version, say


@task(cache_policy=NO_CACHE, persist_result=False)
def run_step(step: Callable[[], None]) -> None:
    """One step of an addition; what a person can act on goes to the run's log as one line."""
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
    link: bool = False,
    prune: bool = False,
    on_bad_image: str = "",
) -> dict[str, object]:
    """Inspect, check and copy images into data/<name>, put them under DVC, push them, and record the version.

    Args:
        path: a folder, or whatever else `pipeline.sources` knows; relative to root, or absolute.
        name: of the data set.
        root: the project's folder, where .dvc is.
        kind: of the source; `auto` looks.
        domain: of all images, where the source has none.
        open_set: the pool of unknown images that they become.
        benchmark: the benchmark (docs/datasets.md) whose layout the path must have.
        images: the folder that a listing's paths are relative to, where it is not found beside it.
        link: clone or hard-link files instead of writing them.
        prune: drop images that the source's domains and pools no longer have.
        on_bad_image: fail or skip; data.on_bad_image of params.yaml by default.
    Returns:
        name, version, md5, new: what the data set is now, and whether this run made that version.
    Raises:
        CroftError: nothing was added; or it was, and pushing or recording it failed.
    """
    telemetry.disable()
    guard()
    project = Path(root).resolve()
    data = load_params(project / PARAMS_FILE).data
    addition = Addition(
        Path(path),
        name,
        root=project,
        data=data,
        kind=kind,
        domain=domain,
        open_set=open_set,
        benchmark=benchmark,
        images=images,
        link=link,
        prune=prune,
        on_bad_image=on_bad_image,
    )
    with addition.locked():
        for step in addition.steps():
            label = step.__name__
            run_step.with_options(name=label, task_run_name=label)(step)
    print_addition(addition, make_console(), used=data.root)
    if addition.troubles:
        raise PipelineError("; ".join(addition.troubles))
    version = addition.version
    return {
        "name": name,
        "version": version.number if version else None,
        "md5": version.md5 if version else "",
        "new": addition.is_new,
    }


def print_addition(addition: Addition, console: Console, *, used: str) -> None:
    """What the source was understood as, the version, what changed, and what a person does next.

    Args:
        addition: after its steps.
        console: where to print.
        used: data.root of params.yaml.
    """
    name, version = addition.name, addition.version
    if version is None:
        return
    for note in addition.source.notes:
        say(note, console)
    for warning in addition.source.warnings:
        say(f"warning: {warning}", console)
    print_version(name, version, count(addition.files), console)
    called = [f"{class_}: {words}" for class_, words in addition.source.class_names.items()]
    print_names("Names of classes that came with the source, for backbone.class_names", called, console)
    print_names("Left out, because they cannot be used", addition.bad, console)
    print_names("Kept, though the source no longer has them (--prune drops them)", addition.kept, console)
    before = addition.before.number if addition.before else 0
    if not addition.is_new and before == version.number:
        say(f"Nothing changed: {name} is still version {before}", console)
        return
    if not addition.is_new:
        say(f"{name} held exactly this before, as version {version.number}", console)
    if addition.difference is None:
        say(f"What changed cannot be told: the listing of version {before} is not in DVC's cache", console)
    elif before:
        say(f"Since version {before}: {headline(addition.difference)}", console)
        print_difference(addition.difference, console)
    say(f"Under DVC{' and pushed to its remote' if addition.pushed else ''}. Commit:", console)
    files = [pointer_path(Path(), name), history_path(Path(), name), FOLDER / ".gitignore"]
    say(f"  git add {' '.join(path.as_posix() for path in files)}", console)
    if used != (FOLDER / name).as_posix():
        say(f"To use it: croft use folder {FOLDER.as_posix()}/{name}", console)
