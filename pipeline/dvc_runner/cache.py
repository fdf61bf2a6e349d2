"""Where DVC keeps the bytes of files, how workspace and cache share them, and whether the two agree."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.dvc_runner.output import with_advice
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True)
class Cache:
    """Attributes:
    folder: of the cache's objects by MD5.
    link: how DVC brings a file from its cache into the workspace first: reflink, hardlink, symlink or copy.
    remote: name of the default remote; "" without one.
    """

    folder: Path
    link: str
    remote: str

    def object(self, md5: str) -> Path:
        """Where the cache keeps an object; it need not be there."""
        return self.folder / md5[:2] / md5[2:]


def open_cache(root: Path) -> Cache:
    """DVC's settings.

    Raises:
        PipelineError: the folder is no DVC project, or its configuration is not valid.
    """
    with opened(root) as repo:
        local = repo.cache.local
        return Cache(Path(local.path), str(local.cache_types[0]), str(repo.config["core"].get("remote") or ""))


def is_edited(root: Path, path: Path) -> bool:
    """Whether a path under DVC is there and differs from its .dvc file; DVC hashes again only what was touched.

    Raises:
        PipelineError: DVC refuses.
    """
    with opened(root) as repo:
        (out,) = repo.find_outs_by_path(str(root / path))
        return "modified" in out.workspace_status().values()


def is_complete(root: Path, path: Path) -> bool:
    """Whether workspace and cache hold what a path's .dvc file says.

    Raises:
        PipelineError: DVC refuses.
    """
    with opened(root) as repo:
        (out,) = repo.find_outs_by_path(str(root / path))
        return not out.status()


def clone(source: Path, target: Path) -> None:
    """Make a file that shares the source's blocks until one of the two is written to (Btrfs, XFS, APFS).

    Raises:
        OSError: the file system cannot.
    """
    from dvc_objects.fs.system import reflink

    reflink(str(source), str(target))  # type: ignore[no-untyped-call,unused-ignore]


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Repo]:
    """The project as DVC's library sees it; its errors become a PipelineError."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        # A library of DVC's uses what another of them deprecates; a caller that turns warnings into errors cannot help.
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning), Repo(str(root)) as repo:
            yield repo
    except DvcException as error:
        raise PipelineError(f"{root}: dvc: {with_advice(' '.join(str(error).split()))}") from None
