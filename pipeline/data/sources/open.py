"""Which kind of source a path is."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.sources.entry import Source
from pipeline.errors import DataError, ParamsError

KINDS = ("folder",)


def open_source(
    path: Path, *, kind: str = "auto", name: str = "", domain: str | None = None, open_set: str | None = None
) -> Source:
    """Understand what a path holds; nothing is copied and no image is decoded.

    Args:
        path: a folder.
        kind: one of KINDS, or `auto`: told by the path's suffix and depth.
        name: what the data set is to be called; the domain's name where the source has none.
        domain: the domain of all images, for a source without domains.
        open_set: puts all images below open_sets/<open_set>/, as candidate unknowns.
    Returns:
        A source; its entries lie in the workspace's layout.
    Raises:
        DataError: nothing is there, or it is of no known kind or layout.
        ParamsError: arguments that contradict each other or the source.
    """
    from pipeline.data.sources.folder import folder_source

    if kind not in ("auto", *KINDS):
        raise ParamsError(f"kind: {kind!r} is none of auto, {', '.join(KINDS)}")
    if domain and open_set:
        raise ParamsError(f"an image of the open set {open_set!r} lies in no domain; give one of the two")
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if not path.is_dir():
        raise DataError(f"{path}: no kind of source that is known; expected a folder of images")
    return folder_source(path, name=name, domain=domain, open_set=open_set)
