"""The graph, and which of its stages are not up to date."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipeline.dvc_runner.graph import Graph, parse_dot, parse_status
from pipeline.dvc_runner.locks import clear_stale_locks
from pipeline.dvc_runner.program import query


@dataclass(frozen=True)
class Survey:
    """The graph and its stages that are not up to date (address to DVC's words for what changed)."""

    graph: Graph
    changed: Mapping[str, str]


def survey(root: Path) -> Survey:
    """Ask DVC for its graph and for what is not up to date; both at a time, since each takes seconds to start.

    Raises:
        PipelineError: DVC refuses, for example because dvc.yaml is not valid.
    """
    clear_stale_locks(root)
    with ThreadPoolExecutor(2) as pool:
        dot = pool.submit(query, root, "dag", "--dot")
        status = pool.submit(query, root, "status", "--json")
        graph = parse_dot(dot.result())
        return Survey(graph, parse_status(status.result()))


_ahead: dict[Path, Future[Survey]] = {}


def survey_ahead(root: Path) -> None:
    """Begin the survey in the background; the next `take_survey` of this root waits for it instead of asking again."""
    pool = ThreadPoolExecutor(1)
    _ahead[root.resolve()] = pool.submit(survey, root)
    pool.shutdown(wait=False)


def take_survey(root: Path) -> Survey:
    """The survey that was begun ahead, or a new one; raises what `survey` raises."""
    begun = _ahead.pop(root.resolve(), None)
    return begun.result() if begun else survey(root)
