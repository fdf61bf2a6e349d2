"""Git as checkouts use it: never the index, the tree or the HEAD of the project itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from pipeline.errors import PipelineError

_PLACES = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_CONFIG", "GIT_NAMESPACE",
)  # fmt: skip
"""Set where a hook of git started this process; they would lead every command into that repository."""


def git(folder: Path, *arguments: str, settings: tuple[str, ...] = ()) -> str:
    """What a command of git prints, without the last line's end.

    Args:
        folder: where it runs.
        arguments: the command and what follows it.
        settings: `key=value` of git's configuration, for this command.
    Raises:
        PipelineError: it failed; gives git's reason.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _PLACES}
    quiet = ("core.hooksPath=/dev/null", "commit.gpgsign=false", "advice.detachedHead=false", *settings)
    options = [word for setting in quiet for word in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", *options, *arguments], cwd=folder, env={**environment, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        raise PipelineError(f"{folder}: git cannot be started: {error}") from None
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        said = "".join(reason).removeprefix("fatal: ").removeprefix("error: ")
        raise PipelineError(f"{folder}: git {arguments[0]}: {said or f'exit status {done.returncode}'}")
    return done.stdout.rstrip("\n")


def person(project: Path) -> tuple[str, ...]:
    """Settings that let a commit in a clone bear the name that the project's own commits bear; croft's without one."""
    settings = []
    for key, fallback in (("user.name", "croft"), ("user.email", "croft@localhost")):
        try:
            value = git(project, "config", "--get", key)
        except PipelineError:
            value = ""
        settings.append(f"{key}={value or fallback}")
    return tuple(settings)
