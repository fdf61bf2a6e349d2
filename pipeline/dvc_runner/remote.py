"""The default remote: stages' outputs and inputs sent there, and whether it really has them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pipeline.dvc_runner.cache import open_cache
from pipeline.dvc_runner.graph import parse_status
from pipeline.dvc_runner.program import command, query
from pipeline.errors import PipelineError

_LACKING = {"new", "missing"}  # DVC's words for what the remote has not got


def send(root: Path, addresses: Sequence[str]) -> str:
    """Push what stages and .dvc files name, and check by the remote's own listing that all of it arrived.

    Args:
        root: a checkout, whose `core.site_cache_dir` is its own: DVC's record of what it once pushed is dropped there.
        addresses: of stages and .dvc files.
    Returns:
        Name of the remote; "" where no default remote is set, and nothing was sent.
    Raises:
        PipelineError: the push failed, or the remote lacks something afterwards.
    """
    remote = open_cache(root).remote
    if remote:
        command(root, "push", *addresses)
        if lacking := not_in_remote(root, addresses):
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise PipelineError(
                f"remote {remote!r}: {lacking[0]}{more} is not there after `dvc push`; run `dvc push` in {root} again"
            )
    return remote


def not_in_remote(root: Path, addresses: Sequence[str]) -> list[str]:
    """Paths that the default remote has not got, by its listing and not by what DVC remembers of earlier pushes.

    Args:
        root, addresses: as in `send`.
    Raises:
        PipelineError: the remote cannot be listed.
    """
    shutil.rmtree(root / ".dvc" / "tmp" / "site", ignore_errors=True)
    status = parse_status(query(root, "status", "--cloud", "--json", *addresses))
    return sorted(path for path, words in status.items() if _LACKING & set(words.split()))
