"""The project that a command works in: the working directory, or the nearest folder above it that is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from pipeline.errors import ParamsError

MARKS = ("params.yaml", "dvc.yaml")
"""Files that a project's folder holds."""


def find_project(start: Path) -> Path:
    """The nearest project, from `start` upwards; `start` itself where there is none."""
    folders = [start, *start.parents]
    return next((folder for folder in folders if all((folder / mark).is_file() for mark in MARKS)), start)


def enter_project() -> Path:
    """Make the project the working directory, and say so on standard error if it is another folder.

    Returns:
        The working directory before, which paths on the command line are relative to.
    Raises:
        ParamsError: the working directory does not exist.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise ParamsError("the working directory does not exist any more; go to the project's folder") from None
    project = find_project(here)
    if project != here:
        print(f"Project: {project}", file=sys.stderr)
        os.chdir(project)
    return here


def from_project(context: typer.Context, path: Path | None) -> Path | None:
    """A path of the command line, as seen from the project's folder; the callback of every such argument."""
    return path and relative(path, context.obj)


def tag_or_path(context: typer.Context, text: str) -> str:
    """The same for an argument that is a path only if something is there."""
    here = context.obj
    return str(relative(Path(text), here)) if text and here and (here / text).exists() else text


def relative(path: Path, here: Path | None) -> Path:
    """A path that is relative to `here`, relative to the working directory, which is `here` or above it.

    `..` stays: it may follow a link.
    """
    return path if here is None or path.is_absolute() else here.relative_to(Path.cwd()) / path
