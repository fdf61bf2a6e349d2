"""Folders that DVC cannot work in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipeline.dvc_runner.cache import open_cache
from pipeline.errors import PipelineError

_BRACES = "{}"


def check_place(root: Path) -> None:
    """Refuse a project whose stages or cache DVC cannot use.

    It takes braces in the cache's path for fields of its progress bar, and the shell that runs a stage finds no
    `python` in a folder with a colon in its path.

    Args:
        root: where .dvc is.
    Raises:
        PipelineError: the path of the cache has a brace, or that of the environment a colon.
    """
    binaries = Path(sys.executable).parent
    if os.pathsep in str(binaries):
        raise PipelineError(
            f"{binaries}: no command is found in a folder with '{os.pathsep}' in its path; rename the folder, then "
            "run `make clean` and `make setup`"
        )
    if not set(_BRACES) & set(str(root.resolve())):
        return
    folder = str(open_cache(root).folder)
    braces = [f"'{brace}'" for brace in _BRACES if brace in folder]
    if braces:
        raise PipelineError(
            f"{folder}: DVC cannot use a cache with {' and '.join(braces)} in its path; rename the folder, or move the "
            "cache: `dvc cache dir --local FOLDER`"
        )
