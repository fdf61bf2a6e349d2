"""DVC's settings of a clone: its cache and remotes are those of the project that it was cloned from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.dvc_runner.cache import open_cache
from pipeline.errors import PipelineError


def carry_settings(project: Path, clone: Path) -> None:
    """Write the clone's .dvc/config.local: the project's own, its cache, and places that are relative to the project.

    The file can be read by its owner only, since it may hold credentials of remotes.

    Args:
        project: where its .dvc is.
        clone: the same project, elsewhere, at any revision.
    Raises:
        PipelineError: the project's or the clone's settings are not valid.
    """
    from dvc.config import Config
    from dvc.exceptions import DvcException

    file = clone / ".dvc" / "config.local"
    try:
        cache = open_cache(project).folder.parents[1]  # .dvc/cache, of .dvc/cache/files/md5
        own = Config(str(project / ".dvc")).read("local")
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        file.chmod(0o600)
        settings = Config(str(clone / ".dvc"))
        shared = settings.read("repo")
        with settings.edit("local") as local:
            for section, values in own.items():
                local.setdefault(section, {}).update(values)
            for name, values in shared["remote"].items():
                moved = _moved(values, clone / ".dvc", project / ".dvc")
                local["remote"][name] = {**moved, **own["remote"].get(name, {})}
            local["cache"]["dir"] = str(cache)
            local["core"]["site_cache_dir"] = str(clone / ".dvc" / "tmp" / "site")  # is removed with the clone
    except DvcException as error:
        raise PipelineError(f"{clone}: dvc: {' '.join(str(error).split())}") from None


def _moved(values: dict[str, Any], clone: Path, project: Path) -> dict[str, str]:
    """Those of a remote's settings that are paths relative to the settings' file, as the project means them."""
    from dvc.config_schema import RelPath

    return {
        key: os.path.normpath(project / os.path.relpath(value, clone))
        for key, value in values.items()
        if isinstance(value, RelPath)
    }
