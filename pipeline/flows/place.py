"""Where a deployed flow runs: in a checkout that the launcher made, which is published, then removed or kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipeline.checkout.data import Choice
from pipeline.checkout.inputs import bring_inputs
from pipeline.checkout.make import Checkout, open_checkout
from pipeline.checkout.publish import Publication, publish
from pipeline.errors import PipelineError


@contextlib.contextmanager
def entered(root: Path, revision: str, data: Mapping[str, Choice] | None) -> Iterator[Checkout | None]:
    """The checkout that root is; None for a project's own folder. It is removed at the end, and kept on failure.

    Args:
        root: where the flow runs.
        revision, data: that the flow was asked for; the launcher has seen to them.
    Raises:
        PipelineError: a revision or data set is named, and root is no checkout.
    """
    checkout = open_checkout(root)
    if checkout is None:
        if revision or data:
            raise PipelineError(
                f"{root}: revision and data need a checkout, which only deployed flows get; run `croft deploy`, "
                "or use `git switch` and `croft data use`"
            )
        yield None
        return
    try:
        yield checkout
    except BaseException:
        get_run_logger().warning("%s", checkout.keep())
        raise
    os.chdir(checkout.project)  # this process stands in the folder that goes
    checkout.remove()


@task(name="inputs", task_run_name="inputs", cache_policy=NO_CACHE, persist_result=False)
def bring(root: str, targets: Sequence[str]) -> list[str]:
    """Inputs and earlier results into a checkout; the .dvc files that were pulled."""
    pulled = bring_inputs(Path(root), targets)
    get_run_logger().info("pulled %s", ", ".join(pulled) if pulled else "nothing: the cache has every input")
    return pulled


@task(name="publish", task_run_name="publish", cache_policy=NO_CACHE, persist_result=False)
def publish_results(root: str, targets: Sequence[str]) -> Publication:
    """Results of a checkout to the remote and into a branch of the project."""
    checkout = open_checkout(Path(root))
    assert checkout is not None  # noqa: S101 (the caller has it)
    publication = publish(checkout, targets)
    get_run_logger().info("%s", publication)
    return publication
