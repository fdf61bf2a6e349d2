"""What changed between two versions, file by file: added, removed, changed, and moved (the same bytes elsewhere)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

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
