"""Which files of a data set a source speaks for, and which of them it no longer has."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.tables import OPEN_SETS
from pipeline.versioning.contents import Files, is_image
from pipeline.versioning.difference import compare


def missing(known: Files, named: Collection[str]) -> list[str]:
    """Images of the domains and pools that a source has images in, at places that it does not name.

    Args:
        known: what the data set holds.
        named: places of all images of the source.
    """
    scope = {_group(path) for path in named}
    return [path for path in known if is_image(path) and _group(path) in scope and path not in named]


def moved_away(known: Files, absent: Collection[str], new: Files) -> set[str]:
    """Those of the absent files whose bytes are new at another place: each new place stands for one of them."""
    return {source for source, _ in compare({path: known[path] for path in absent}, new).moved}


def _group(path: str) -> str:
    """The domain or open_sets/pool that a path lies in."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == OPEN_SETS else parts[0]
