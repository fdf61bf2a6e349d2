"""Other tracking stores than the present one, in words: what they are called and how to open them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.registry.runs import UNKNOWN
from pipeline.tracking.client import URI_VARIABLE

_SHOWN = 8  # digits of an id


def store_name(store: str) -> str:
    """A store by the start of its id."""
    return f"store {store[:_SHOWN]}" if store else "another store"


def how_to_open(server: str) -> str:
    """The setting that makes a store the present one.

    Args:
        server: its address; "" for a local file.
    """
    if server:
        return f"set {URI_VARIABLE}={server}"
    return f"set {URI_VARIABLE}=sqlite:////PATH/.croft/mlflow.db, with the path of the workspace that made it"


def store_lines(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each other store that holds some of these runs, and one if nothing is known of a run.

    Args:
        runs: as `pipeline.registry.lineage.lineage` describes them.
    """
    runs = list(runs)
    stores = dict.fromkeys((run["store"], run["server"]) for run in runs if "store" in run)
    lines = [
        f"Runs of {store_name(store)} are shown from the files in artifacts/runs; to open them, {how_to_open(server)}"
        for store, server in stores
    ]
    if any(run["status"] == UNKNOWN for run in runs):
        lines.append(
            f"Of the runs that are {UNKNOWN} no file is left: `dvc pull` may bring them; otherwise set "
            f"{URI_VARIABLE} to the store that made them"
        )
    return lines
