"""The real `dvc`, started as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.dvc_runner.locks import clear_stale_locks
from pipeline.dvc_runner.output import Listener, error_line, lines, reason
from pipeline.dvc_runner.place import check_place
from pipeline.errors import PipelineError
from pipeline.process.group import run_group
from pipeline.storage import explain_text

_DVC = (sys.executable, "-m", "dvc", "--wait-for-lock")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment for `dvc`: commands named `python` and `dvc` are those of this interpreter."""
    binaries = str(Path(sys.executable).parent)  # not resolved: a virtual environment is where its link is
    path = os.pathsep.join([binaries, *filter(None, [os.environ.get("PATH")])])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "DVC_NO_ANALYTICS": "1", **(extra or {})}


def query(root: Path, *arguments: str) -> str:
    """What a command of DVC prints on its standard output.

    Args:
        root: where .dvc is.
        arguments: the command and what follows it.
    Raises:
        PipelineError: DVC refuses, for example because dvc.yaml is not valid.
    """
    check_place(root)
    done = subprocess.run(
        [*_DVC, *arguments], cwd=root, env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
        encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        message = (
            explain_text(done.stderr, root) or error_line(done.stderr) or " ".join(lines(done.stderr)[:2])
        )  # the rest shows the place in dvc.yaml
        raise PipelineError(f"dvc {arguments[0]}: {message or f'exit status {done.returncode}'}")
    return done.stdout


def listen(
    root: Path, listener: Listener, *arguments: str, extra: Mapping[str, str] | None = None, terminal: bool = False
) -> int:
    """Run a command of DVC to its end, as one process group that dies with this process.

    Args:
        root: where .dvc is.
        listener: hears what it prints; closed at the end.
        arguments: the command and what follows it.
        extra: variables for its environment.
        terminal: let progress bars draw themselves.
    Returns:
        Its exit status; negative for the signal that ended it.
    """
    check_place(root)
    clear_stale_locks(root)
    command = [*_DVC, *arguments]
    status = run_group(command, env=environment(extra), cwd=root, on_text=listener.hear, terminal=terminal)
    listener.close(failed=status != 0)
    return status


def command(root: Path, *arguments: str, terminal: bool = False) -> None:
    """Run a command of DVC that has to succeed.

    Args:
        root: where .dvc is.
        arguments: the command and what follows it.
        terminal: show its progress on standard error.
    Raises:
        PipelineError: it failed; gives DVC's reason.
    """
    listener = Listener(_show if terminal else None)
    status = listen(root, listener, *arguments, terminal=terminal)
    if status:
        raise PipelineError(f"dvc {arguments[0]}: {reason(listener.text()) or f'exit status {status}'}")


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
