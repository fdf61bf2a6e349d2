"""What a store lists, read page by page; and runs of the experiment as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.tracking.client import existing, experiment_name

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

PAGE = 100


@dataclass(frozen=True)
class Listed:
    """A run.

    Attributes:
        run_id, name: in MLflow.
        started: UTC, ISO 8601.
        state: RUNNING, FINISHED, FAILED or KILLED.
        tags, params, metrics: by name; of a series the last value.
    """

    run_id: str
    name: str
    started: str
    state: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def paged(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every item of a listing; a page is asked for when the one before is used up.

    Args:
        ask: takes the token of a page (None for the first) and returns MLflow's page.
    """
    token: str | None = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def moment(milliseconds: int) -> str:
    """UTC in ISO 8601, to the second, from MLflow's milliseconds since the epoch."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def runs_newest_first(client: MlflowClient, *, nested: bool = False) -> Iterator[Listed]:
    """The runs that nobody deleted; a page is asked for when the one before is used up, and nothing is changed.

    Args:
        client: of the store.
        nested: also those below another run.
    """
    experiment = client.get_experiment_by_name(experiment_name())
    if experiment is None:
        return
    ids, order = [experiment.experiment_id], ["attributes.start_time DESC"]
    for run in paged(lambda token: client.search_runs(ids, order_by=order, max_results=PAGE, page_token=token)):
        if nested or "mlflow.parentRunId" not in run.data.tags:
            yield _plain(run)


def known_run(client: MlflowClient, run_id: str) -> Listed | None:
    """A run by its id; None where the store does not have it."""
    run = existing(lambda: client.get_run(run_id)) if run_id else None
    return _plain(run) if run is not None else None


def _plain(run: Run) -> Listed:
    return Listed(
        str(run.info.run_id),
        str(run.info.run_name),
        moment(run.info.start_time),
        str(run.info.status),
        dict(run.data.tags),
        dict(run.data.params),
        dict(run.data.metrics),
    )
