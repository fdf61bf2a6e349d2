"""What changed between two versions, or goes with a source, file by file: added, removed, changed, moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from pipeline.data.layout import parse_place
from pipeline.versioning.contents import Files, image_place


@dataclass(frozen=True)
class Difference:
    """Sorted paths.

    Attributes:
        added, removed: in one of the two only, and not moved.
        changed: in both, with other bytes.
        moved: (from, to) of files whose bytes left one path for another.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved)

    def by_class(self) -> dict[tuple[str, str], dict[str, int]]:
        """By (domain or open_sets/pool, class), sorted: how many images were added, removed, changed, moved here."""
        table: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        named = {"added": self.added, "removed": self.removed, "changed": self.changed}
        for kind, paths in {**named, "moved": [to for _, to in self.moved]}.items():
            for place in filter(None, map(image_place, paths)):
                table[place.group, place.class_][kind] += 1
        return {key: dict(table[key]) for key in sorted(table)}


def compare(old: Files, new: Files) -> Difference:
    """The difference from `old` to `new`. Each file moves once; equal copies are paired in the order of their paths."""
    only_old = sorted(old.keys() - new.keys())
    only_new = sorted(new.keys() - old.keys())
    sources: defaultdict[str, list[str]] = defaultdict(list)
    for path in reversed(only_old):
        sources[old[path]].append(path)
    moved = [(sources[new[path]].pop(), path) for path in only_new if sources.get(new[path])]
    moved_from, moved_to = {source for source, _ in moved}, {target for _, target in moved}
    return Difference(
        added=tuple(path for path in only_new if path not in moved_to),
        removed=tuple(path for path in only_old if path not in moved_from),
        changed=tuple(sorted(path for path in old.keys() & new.keys() if old[path] != new[path])),
        moved=tuple(sorted(moved)),
    )


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
