"""Runs of the experiment, read page by page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.client import experiment_id

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

PAGE = 100


def runs_newest_first(client: MlflowClient, root: Path, *, nested: bool = False) -> Iterator[Run]:
    """The runs that nobody deleted; a page is asked for when the one before is used up.

    Args:
        client: of the store.
        root: the project, whose experiment is meant.
        nested: also those below another run.
    """
    _, number = experiment_id(client, root)
    token = None
    while True:
        page = client.search_runs(
            [number], order_by=["attributes.start_time DESC"], max_results=PAGE, page_token=token
        )
        for run in page:
            if nested or "mlflow.parentRunId" not in run.data.tags:
                yield run
        token = page.token
        if not token:
            return
