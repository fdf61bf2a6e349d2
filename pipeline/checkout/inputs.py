"""The files that a run in a checkout starts from: from the shared cache, or from the remote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.dvc_runner.cache import is_complete, open_cache
from pipeline.dvc_runner.graph import is_input, parse_dot
from pipeline.dvc_runner.missing import missing_data
from pipeline.dvc_runner.program import command, query
from pipeline.errors import PipelineError


def bring_inputs(root: Path, targets: Sequence[str] = ()) -> list[str]:
    """Bring what the targets need, inputs and what the revision's stages have made, into a checkout.

    Outputs that the cache lacks are left to the run, which makes them; an input that it lacks is pulled.

    Args:
        root: the project in the checkout.
        targets: names of stages; those of the root dvc.yaml by default.
    Returns:
        The .dvc files whose data was pulled from the remote.
    Raises:
        PipelineError: an input is neither in the cache nor in the remote, or DVC refuses.
    """
    order = parse_dot(query(root, "dag", "--dot")).order(targets)
    command(root, "checkout", "--allow-missing", *order)
    missing = [address for address in order if is_input(address) and not _is_here(root, address)]
    if not missing:
        return []
    if not open_cache(root).remote:
        raise PipelineError(missing_data(root, missing[0]))
    command(root, "pull", *missing)
    return missing


def _is_here(root: Path, address: str) -> bool:
    return is_complete(root, Path(address.removesuffix(".dvc")))
