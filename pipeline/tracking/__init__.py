"""What was measured, and by which run: MLflow runs of stages under one parent run, through the client API only.

Nothing here touches MLflow's fluent state (active run, current experiment), so that several runs may be open in one
process and a run never ends up as the child of another by accident.
"""

from pipeline.tracking.client import (
    EXPERIMENT_VARIABLE,
    URI_VARIABLE,
    connect,
    experiment_id,
    reported,
    shown_uri,
    tracking_uri,
)
from pipeline.tracking.parents import close_parent, close_stale_parents, open_parent
from pipeline.tracking.runs import (
    LOCK_FILE,
    PARENT_VARIABLE,
    StageRun,
    read_stage_run,
    record_children,
    stage_run,
)

__all__ = [
    "EXPERIMENT_VARIABLE",
    "LOCK_FILE",
    "PARENT_VARIABLE",
    "URI_VARIABLE",
    "StageRun",
    "close_parent",
    "close_stale_parents",
    "connect",
    "experiment_id",
    "open_parent",
    "read_stage_run",
    "record_children",
    "reported",
    "shown_uri",
    "stage_run",
    "tracking_uri",
]
