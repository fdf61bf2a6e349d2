"""Places that DVC cannot work in: of the project, of its cache, of its remote."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pipeline.dvc_runner.cache import open_cache
from pipeline.errors import PipelineError

_BRACES = "{}"


def check_place(root: Path) -> None:
    """Refuse a project whose stages, cache or default remote DVC cannot use.

    It takes braces in the path of a cache or a remote for fields of its progress bar, and the shell that runs a stage
    finds no `python` in a folder with a colon in its path.

    Args:
        root: where .dvc is.
    Raises:
        PipelineError: the path of the cache or of the default remote has a brace, or that of the environment a colon.
    """
    binaries = Path(sys.executable).parent
    if os.pathsep in str(binaries):
        raise PipelineError(
            f"{binaries}: no command is found in a folder with '{os.pathsep}' in its path; rename the folder, then "
            "run `make clean` and `make setup`"
        )
    settings = _settings(root)
    if _braces(f"{root.resolve()}{settings.get('cache', {}).get('dir', '')}"):
        folder = str(open_cache(root).folder)
        if braces := _braces(folder):
            raise PipelineError(
                f"{folder}: DVC cannot use a cache with {braces} in its path; rename the folder, or move the cache: "
                "`dvc cache dir --local FOLDER`"
            )
    remote = str(settings.get("core", {}).get("remote", ""))
    url = str(settings.get("remote", {}).get(remote, {}).get("url", ""))
    if braces := _braces(url):
        place = "" if "://" in url else f"{url}: "  # what is no path may hold a password
        raise PipelineError(
            f"{place}DVC cannot use the remote {remote!r} with {braces} in its path; rename that folder, then run "
            f"`dvc remote modify {remote} url URL`"
        )


def _settings(root: Path) -> Mapping[str, Any]:
    """DVC's settings; none where it refuses them, which it says itself once it is run."""
    from dvc.config import Config
    from dvc.exceptions import DvcException

    try:
        return cast(Mapping[str, Any], Config(str(root / ".dvc")))
    except DvcException:
        return {}


def _braces(path: str) -> str:
    """The braces that a path has, as a message names them."""
    return " and ".join(f"'{brace}'" for brace in _BRACES if brace in path)
