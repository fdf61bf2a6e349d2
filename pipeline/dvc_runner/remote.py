"""The default remote: stages' outputs and inputs sent there, whether it really has them, and objects brought back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.dvc_runner.cache import open_cache, opened
from pipeline.dvc_runner.graph import is_input
from pipeline.dvc_runner.program import command
from pipeline.errors import PipelineError, one_line


def send(root: Path, addresses: Sequence[str]) -> str:
    """Push what stages and .dvc files name, and check by the remote's own listing that all of it arrived.

    Args:
        root: where .dvc is.
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
    """Hashes of objects that the default remote has not got: of files, of folders and of every file in them.

    `dvc status --cloud` looks for the listing of a folder only, and trusts its memory of earlier pushes.

    Args:
        root, addresses: as in `send`.
    Raises:
        PipelineError: DVC refuses.
    """
    from dvc_data.hashfile.status import compare_status

    root = root.resolve()  # DVC's library reads targets relative to the working directory
    targets = [str(root / (name if is_input(name) or ":" in name else f"dvc.yaml:{name}")) for name in addresses]
    lacking: set[str] = set()
    with opened(root) as repo:
        for origin, hashes in repo.used_objs(targets, force=True, push=True).items():
            if origin is None:  # else it is imported from elsewhere, and that place has it
                there = repo.cloud.get_remote_odb(None, "status")
                compared = compare_status(repo.cache.local, there, hashes, check_deleted=False, shallow=False)
                lacking |= {str(one.value) for one in compared.new | compared.missing}
    return sorted(lacking)


def fetch(root: Path, hashes: Collection[str]) -> None:
    """Bring objects from the default remote into the cache, each checked by its hash; what it lacks is left out.

    `dvc fetch` would take paths, and all that these were at many commits. Of a folder this brings the listing alone.

    Args:
        root: where .dvc is.
        hashes: MD5s of the objects, as DVC writes them.
    Raises:
        PipelineError: no default remote is set, or it cannot be reached.
    """
    from dvc.exceptions import DvcException
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    with opened(root) as repo:
        name = str(repo.config["core"].get("remote") or "")
        try:
            there, cache = repo.cloud.get_remote_odb(None, "fetch"), repo.cache.local
            transfer(there, cache, [HashInfo("md5", one) for one in hashes], verify=True, cache_odb=cache)
        except DvcException:
            raise
        except Exception as error:  # each kind of remote has errors of its own
            raise PipelineError(f"remote {name!r}: {one_line(error)}") from None
