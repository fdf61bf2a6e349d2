"""One stage brought up to date: executed, restored from DVC's cache, or left as it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.dvc_runner.graph import is_input, label
from pipeline.dvc_runner.missing import missing_data
from pipeline.dvc_runner.output import Listener, reason
from pipeline.dvc_runner.program import listen
from pipeline.errors import PipelineError
from pipeline.storage import explain_text

State = Literal["executed", "restored", "up-to-date"]
EXECUTED: State = "executed"
RESTORED: State = "restored"
UP_TO_DATE: State = "up-to-date"


@dataclass(frozen=True)
class StageResult:
    """What became of one stage."""

    stage: str
    state: State
    seconds: float


def reproduce(
    root: Path,
    stage: str,
    *,
    changes: str = "",
    extra: Mapping[str, str] | None = None,
    write: Callable[[str], object] | None = None,
    terminal: bool = False,
) -> StageResult:
    """Bring one stage up to date with `dvc repro --single-item`; DVC decides whether to run, restore or skip it.

    An input (.dvc file) whose data was edited is recorded as a new version; one whose data is missing is checked out.

    Args:
        root: where dvc.yaml is.
        stage: its address.
        changes: DVC's words for what changed, from the survey.
        extra: variables for the stage's environment.
        write: gets the output as it comes, but for DVC's closing advice.
        terminal: let progress bars draw themselves.
    Raises:
        PipelineError: the stage failed; names it and its exit status.
    """
    missing = is_input(stage) and "deleted" in changes.split()
    listener = Listener(write)
    start = time.monotonic()
    arguments = ["checkout", stage] if missing else ["repro", "--single-item", stage]
    status = listen(root, listener, *arguments, extra=extra, terminal=terminal)
    if status:
        raise PipelineError(_failure(root, stage, missing, status, listener.text()))
    seconds = time.monotonic() - start
    if missing:
        return StageResult(stage, RESTORED, seconds)
    if is_input(stage) or listener.executed:
        return StageResult(stage, EXECUTED, seconds)
    return StageResult(stage, RESTORED if listener.restored else UP_TO_DATE, seconds)


def _failure(root: Path, stage: str, missing: bool, status: int, text: str) -> str:
    if missing or (is_input(stage) and "missing data 'source" in text):
        return missing_data(root, stage)
    name = label(stage)
    if status < 0:
        return f"stage {name!r}: dvc was ended by signal {-status}"
    if line := explain_text(text, root):
        return f"stage {name!r} failed: {line}"
    statuses = re.findall(r"exited with (-?\d+)", text)
    if statuses:
        return f"stage {name!r} failed with exit status {statuses[-1]}; its output is above"
    return f"stage {name!r} failed: {reason(text) or f'dvc ended with exit status {status}'}"
