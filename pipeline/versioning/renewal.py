"""Which files of a data set a source covers, and which of them it no longer has."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.data.layout import parse_place
from pipeline.versioning.contents import Files, image_place
from pipeline.versioning.difference import compare


def missing(known: Files, named: Collection[str]) -> list[str]:
    """Images of the domains and pools that a source has images in, at places that it does not name.

    Args:
        known: what the data set holds.
        named: places of all images of the source.
    """
    groups = {place.group for place in filter(None, map(parse_place, named))}
    return [path for path in known if path not in named and (place := image_place(path)) and place.group in groups]


def moved_away(known: Files, absent: Collection[str], new: Files) -> set[str]:
    """Those of the absent files whose bytes are new at another place: each new place stands for one of them."""
    return {source for source, _ in compare({path: known[path] for path in absent}, new).moved}
