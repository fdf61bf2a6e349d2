"""What became of everything that a source holds: taken as what, or left out and why. Every command prints the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pipeline.phrases import counted, shorten
from pipeline.tables import PARTS

if TYPE_CHECKING:
    from pipeline.data.layout import Place
    from pipeline.sources.entry import Source

_NAMED = 3  # files that a line names
_ENDINGS = 6  # endings that a line counts
_GROUPS = 6  # domains or pools that a line names


@dataclass
class Taken:
    """The images of one walk.

    Attributes:
        domains: images by domain.
        pools: images by open set.
        classes: those of the domains.
        parts: images of the domains by part; "" where they are free.
        groups: images by group, without those that are alone.
    """

    domains: Counter[str] = field(default_factory=Counter)
    pools: Counter[str] = field(default_factory=Counter)
    classes: set[str] = field(default_factory=set)
    parts: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)

    def add(self, place: Place, part: str, group: str = "") -> None:
        """Count one image."""
        if group:
            self.groups[group] += 1
        if place.pool:
            self.pools[place.pool] += 1
        else:
            self.domains[place.domain] += 1
            self.classes.add(place.class_)
            self.parts[part] += 1

    @property
    def images(self) -> int:
        """All of them."""
        return self.domains.total() + self.pools.total()

    def clear(self) -> None:
        """Begin another walk."""
        for counts in (self.domains, self.pools, self.classes, self.parts, self.groups):
            counts.clear()


class LeftOut:
    """What one walk left out: by reason how many, the first names, and their endings."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}
        self._endings: dict[str, Counter[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Count a file or folder.

        Args:
            reason: ends the sentence "left out because they are …".
            name: as messages can hold it.
        """
        self.counts[reason] += 1
        names = self._names.setdefault(reason, [])
        if len(names) < _NAMED:
            names.append(name)
        self._endings.setdefault(reason, Counter())[PurePosixPath(name).suffix.lower()] += 1

    @property
    def total(self) -> int:
        """Files and folders, over all reasons."""
        return self.counts.total()

    def clear(self) -> None:
        """Begin another walk."""
        for kept in (self.counts, self._names, self._endings):
            kept.clear()

    def lines(self) -> list[str]:
        """One for each reason."""
        lines = []
        for reason, count in sorted(self.counts.items()):
            endings = f" ({endings_of(self._endings[reason])})" if count > _NAMED else ""
            lines.append(f"left out, {reason}: {count:,}{endings}: {shorten(self._names[reason], _NAMED, total=count)}")
        return lines


def endings_of(endings: Mapping[str, int]) -> str:
    """ ".txt 12, .heic 3, without ending 1", the most frequent first."""
    ordered = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    return shorten([f"{ending or 'without ending'} {count:,}" for ending, count in ordered], _ENDINGS)


def report(source: Source) -> list[str]:
    """The lines that `croft use` and `croft data add` print; complete once the source has been walked to its end.

    Args:
        source: walked.
    Returns:
        What the source was understood as, how many images were taken as what, what was left out and why, and warnings.
    """
    lines = [*source.notes, f"taken: {_taken(source.taken)}", *source.left_out.lines()]
    warnings = [*source.warnings, *_part_warnings(source.taken.parts)]
    return [*lines, *(f"warning: {warning}" for warning in warnings)]


def _taken(taken: Taken) -> str:
    said = [counted(taken.images, "image")]
    if taken.domains:
        domains = f"{counted(len(taken.domains), 'domain')} ({shorten(sorted(taken.domains), _GROUPS)})"
        said += [domains, counted(len(taken.classes), "class")]
    if taken.pools:
        pools = [f"{pool} {count:,}" for pool, count in sorted(taken.pools.items())]
        said.append(f"{counted(len(taken.pools), 'open set')} ({shorten(pools, _GROUPS)})")
    if any(taken.parts[part] for part in PARTS):
        parts = [f"{part or 'none'} {taken.parts[part]:,}" for part in (*PARTS, "") if taken.parts[part]]
        said.append(f"parts: {', '.join(parts)}")
    if taken.groups:
        said.append(f"{counted(len(taken.groups), 'group')} of {counted(taken.groups.total(), 'image')}")
    return ", ".join(said)


def _part_warnings(parts: Mapping[str, int]) -> list[str]:
    given = [part for part in PARTS if parts.get(part)]
    if given and not parts.get("") and "train" not in given:
        return [f"every image is in the part {' or '.join(given)}, so none can be trained on; add those of train too"]
    return []
