"""The real `dvc`, as a subprocess: what is up to date, the reproduction of one stage, data put under version control.

Not called dvc.py: a Prefect worker puts the folder of a deployed flow's file on the path, where it
would hide DVC itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.dvc_runner.graph import Graph, is_input, label, parse_dot, parse_status
from pipeline.dvc_runner.locks import clear_stale_locks
from pipeline.errors import PipelineError
from pipeline.process import run_group

State = Literal["executed", "restored", "up-to-date"]
EXECUTED: State = "executed"
RESTORED: State = "restored"
UP_TO_DATE: State = "up-to-date"

TAIL_LINES = 20
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADVICE = re.compile(r"^((Updating|Generating) lock file '|To track the changes with git)", re.MULTILINE)


@dataclass(frozen=True)
class Survey:
    """The graph and its stages that are not up to date (address to DVC's words for what changed)."""

    graph: Graph
    changed: Mapping[str, str]


@dataclass(frozen=True)
class StageResult:
    """What became of one stage."""

    stage: str
    state: State
    seconds: float


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment for `dvc`: commands named `python` and `dvc` are those of this interpreter."""
    binaries = str(Path(sys.executable).parent)  # not resolved: a virtual environment is where its link is
    path = os.pathsep.join([binaries, *filter(None, [os.environ.get("PATH")])])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", **(extra or {})}


def survey(root: Path) -> Survey:
    """Ask DVC for its graph and for what is not up to date; both at a time, since each takes seconds to start.

    Raises:
        PipelineError: DVC refuses, for example because dvc.yaml is not valid.
    """
    clear_stale_locks(root)
    with ThreadPoolExecutor(2) as pool:
        dot = pool.submit(_output, root, "dag", "--dot")
        status = pool.submit(_output, root, "status", "--json")
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


def _output(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments],
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        reason = _error(done.stderr) or " ".join(_lines(done.stderr)[:2])  # the rest shows the place in dvc.yaml
        raise PipelineError(f"dvc {arguments[0]}: {reason or f'exit status {done.returncode}'}")
    return done.stdout


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
    verb = ["checkout", stage] if missing else ["repro", "--single-item", stage]
    listener = _Listener(write)
    clear_stale_locks(root)
    start = time.monotonic()
    status = run_group(
        [sys.executable, "-m", "dvc", "--wait-for-lock", *verb],
        env=environment(extra),
        cwd=root,
        on_text=listener.hear,
        terminal=terminal,
    )
    listener.close(failed=status != 0)
    if status:
        raise PipelineError(_failure(stage, missing, status, listener))
    seconds = time.monotonic() - start
    if missing:
        return StageResult(stage, RESTORED, seconds)
    return StageResult(stage, EXECUTED if is_input(stage) else listener.state, seconds)


def _failure(stage: str, missing: bool, status: int, listener: _Listener) -> str:
    if missing:
        return f"{stage}: its data is neither in the workspace nor in DVC's cache; fetch it with `dvc pull {stage}`"
    name = label(stage)
    if status < 0:
        return f"stage {name!r}: dvc was ended by signal {-status}"
    text = listener.text()
    own = re.findall(r"exited with (-?\d+)", text)
    if own:
        return f"stage {name!r} failed with exit status {own[-1]}; its output is above"
    return f"stage {name!r} failed: {_reason(text) or f'dvc ended with exit status {status}'}"


def _reason(text: str) -> str:
    return _error(text) or "".join(_lines(text)[-1:])[:500]


def _error(text: str) -> str:
    """The last line that DVC marks as an error."""
    marked = [line.removeprefix("ERROR:").strip() for line in _lines(text) if line.startswith("ERROR:")]
    return "".join(marked[-1:])[:500]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]


class _Listener:
    """Passes a stage's output on, notices what DVC says about it, and keeps the last lines."""

    def __init__(self, write: Callable[[str], object] | None) -> None:
        self._write = write
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._open = ""  # the line that is not finished yet
        self._advice: str | None = None  # what DVC says after it wrote its own files, the same each time
        self.state: State = UP_TO_DATE

    def hear(self, text: str) -> None:
        *whole, self._open = (self._open + text).split("\n")
        for line in whole:
            self._note(_COLOUR.sub("", line).rpartition("\r")[2] if not line.endswith("\r") else line.rstrip("\r"))
        if self._advice is not None:
            self._advice += text
        elif found := _ADVICE.search(text):
            self._pass(text[: found.start()])
            self._advice = text[found.start() :]
        else:
            self._pass(text)

    def close(self, *, failed: bool) -> None:
        if self._open:
            self._note(_COLOUR.sub("", self._open))
        if failed and self._advice:
            self._pass(self._advice)

    def text(self) -> str:
        return "\n".join(self._lines)

    def _note(self, line: str) -> None:
        self._lines.append(line)
        if line.startswith("Running stage '"):
            self.state = EXECUTED
        elif line.startswith("Stage '") and "is cached - skipping run" in line:
            self.state = RESTORED

    def _pass(self, text: str) -> None:
        if self._write and text:
            with contextlib.suppress(BrokenPipeError):  # `croft run | head` must not end the stage half-way
                self._write(text)


def add_input(root: Path, path: Path) -> bool:
    """Put a file or folder under DVC (`dvc add`) and push it where a default remote is set.

    Returns:
        Whether it was pushed.
    Raises:
        PipelineError: DVC refuses.
    """
    add(root, path)
    command = [sys.executable, "-m", "dvc", "config", "core.remote"]
    remote = subprocess.run(command, cwd=root, env=environment(), capture_output=True, check=False)
    if remote.returncode or not remote.stdout.strip():
        return False
    push(root, path)
    return True


def add(root: Path, path: Path, *, terminal: bool = False) -> None:
    """Record a file or folder as it is now in its .dvc file and in DVC's cache.

    Args:
        root: where .dvc is.
        path: relative to root.
        terminal: let DVC draw its progress.
    Raises:
        PipelineError: DVC refuses.
    """
    _checked(root, "add", path.as_posix(), terminal=terminal)


def push(root: Path, path: Path, *, terminal: bool = False) -> None:
    """Send what the .dvc file of a path names to the default remote; arguments and errors as `add`."""
    _checked(root, "push", f"{path.as_posix()}.dvc", terminal=terminal)


def bring(root: Path, path: Path, *, fetch: bool) -> None:
    """Make the workspace hold what a path's .dvc file says.

    Args:
        root: where .dvc is.
        path: relative to root.
        fetch: ask the default remote for what the cache lacks.
    Raises:
        PipelineError: the files are neither in the cache nor, where it was asked, in the remote.
    """
    _checked(root, "pull" if fetch else "checkout", f"{path.as_posix()}.dvc")


def unpushed(root: Path, paths: Sequence[Path]) -> dict[Path, bool]:
    """Whether the default remote lacks a part of what each path's .dvc file names.

    Raises:
        PipelineError: DVC refuses, or the remote cannot be reached.
    """
    found = parse_status(_output(root, "status", "--cloud", "--json", *(f"{path.as_posix()}.dvc" for path in paths)))
    return {path: path.as_posix() in found for path in paths}


def _checked(root: Path, *arguments: str, terminal: bool = False) -> None:
    clear_stale_locks(root)
    listener = _Listener(_show if terminal else None)
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    status = run_group(command, env=environment(), cwd=root, on_text=listener.hear, terminal=terminal)
    listener.close(failed=status != 0)
    if status:
        raise PipelineError(f"dvc {arguments[0]}: {_reason(listener.text()) or f'exit status {status}'}")


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
