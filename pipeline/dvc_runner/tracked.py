"""Files and folders under DVC (those with a .dvc file): recorded, pushed, brought back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dvc_runner.cache import open_cache
from pipeline.dvc_runner.graph import parse_status
from pipeline.dvc_runner.program import command, query


def add(root: Path, path: Path, *, terminal: bool = False) -> None:
    """Record a file or folder as it is now in its .dvc file and in DVC's cache.

    Args:
        root: where .dvc is.
        path: relative to root.
        terminal: let DVC draw its progress.
    Raises:
        PipelineError: DVC refuses.
    """
    command(root, "add", path.as_posix(), terminal=terminal)


def push(root: Path, path: Path, *, terminal: bool = False) -> None:
    """Send what the .dvc file of a path names to the default remote; arguments and errors as `add`."""
    command(root, "push", f"{path.as_posix()}.dvc", terminal=terminal)


def add_and_push(root: Path, path: Path) -> bool:
    """`add`, and `push` where a default remote is set.

    Returns:
        Whether it was pushed.
    Raises:
        PipelineError: DVC refuses.
    """
    add(root, path)
    if not open_cache(root).remote:
        return False
    push(root, path)
    return True


def bring(root: Path, path: Path, *, fetch: bool) -> None:
    """Make the workspace hold what a path's .dvc file says.

    Args:
        root: where .dvc is.
        path: relative to root.
        fetch: ask the default remote for what the cache lacks.
    Raises:
        PipelineError: the files are neither in the cache nor, with `fetch`, in the remote.
    """
    command(root, "pull" if fetch else "checkout", f"{path.as_posix()}.dvc")


def unpushed(root: Path, paths: Sequence[Path]) -> dict[Path, bool]:
    """Whether the default remote lacks a part of what each path's .dvc file names.

    Raises:
        PipelineError: DVC refuses, or the remote cannot be reached.
    """
    status = parse_status(query(root, "status", "--cloud", "--json", *(f"{path.as_posix()}.dvc" for path in paths)))
    return {path: path.as_posix() in status for path in paths}
