"""One image of a source, and the source itself: where an image goes in the data set and how its bytes are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.given import group_problem, part_problem
from pipeline.data.layout import DOMAINS_LAYOUT, POOLS_LAYOUT, Place, folder_problem, name_problem, parse_place
from pipeline.data.refused import problem_lines
from pipeline.errors import DataError
from pipeline.images import SHOWN, missing_decoder, readable
from pipeline.images.formats import COMMON_SUFFIXES, HEAD, format_of, is_image_content, read_head
from pipeline.phrases import shorten
from pipeline.sources.report import LeftOut, Taken
from pipeline.tables import OPEN_SETS

_NAMED = 20  # classes that an error names


@dataclass(frozen=True, slots=True)
class Entry:
    """One image.

    Attributes:
        target: where it goes below the data root: domain/class/file, or open_sets/pool/class/file.
        origin: how messages call it: a path or member, with its line where a listing names it.
        file: the image on disk, resolved, which may be copied or linked; None for a member of a tar.
        content: the encoded image, where `file` is None.
        part: one of PARTS, or "" where it is free.
        group: of images that belong together; "" where it is alone.
    """

    target: str
    origin: str
    file: Path | None = None
    content: bytes | None = None
    part: str = ""
    group: str = ""

    def read(self) -> bytes:
        """The encoded image's bytes.

        Raises:
            DataError: the file cannot be read.
        """
        if self.content is not None:
            return self.content
        if self.file is None:
            raise DataError(f"{self.origin}: has neither a file nor bytes")
        try:
            return self.file.read_bytes()
        except OSError as error:
            raise DataError(f"{self.origin}: cannot be read: {error.strerror}") from None

    def head(self) -> bytes:
        """The first bytes, which tell the format.

        Raises:
            DataError: the file cannot be read.
        """
        if self.content is not None or self.file is None:
            return self.read()[:HEAD]
        try:
            return read_head(self.file)
        except OSError as error:
            raise DataError(f"{self.origin}: cannot be read: {error.strerror}") from None

    def missing_decoder(self) -> str:
        """What is wrong if the format needs a decoder that is not installed; "" otherwise.

        A file with the ending of a format that is always decoded is not opened.
        """
        if self.target.lower().endswith(COMMON_SUFFIXES):
            return ""
        format_ = format_of(self.head())
        return missing_decoder(format_) if format_ and format_ not in readable() else ""


@dataclass(frozen=True)
class Source:
    """What was understood of a path; iterating it walks the images, as often as wanted, always in the same order.

    Attributes:
        path: what was opened.
        kind: one of KINDS.
        walk: makes the entries anew; a tar is read as a stream while it is walked.
        notes: what was understood, a sentence each.
        warnings: what a person should check, a sentence each.
        class_names: how prompts call a class, where that is not its folder's name; for backbone.class_names.
        unreadable: (target, problem, origin) of images of the latest walk whose decoder is not installed.
        taken, left_out: what became of the files in the latest walk; see `report`.
    """

    path: Path
    kind: str
    walk: Callable[[], Iterator[Entry]]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    class_names: dict[str, str] = field(default_factory=dict)
    unreadable: list[tuple[str, str, str]] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)
    left_out: LeftOut = field(default_factory=LeftOut)

    def check_decoders(self) -> None:
        """Call after a walk, where no image is decoded.

        Raises:
            DataError: images need a decoder that is not installed; it names their classes and counts them.
        """
        if self.unreadable:
            raise DataError(f"{self.path}: {shorten(problem_lines(self.unreadable), _NAMED, separator='; ')}")

    def __iter__(self) -> Iterator[Entry]:
        """The images.

        Raises:
            DataError: a name is not valid in a data set, two images go to the same place, there is no image, or the
                source is refused for what its kind requires.
        """
        origins: dict[str, str] = {}
        self.unreadable.clear()
        self.taken.clear()
        self.left_out.clear()
        for entry in self.walk():
            place = check_target(entry)
            if entry.target in origins:
                raise DataError(
                    f"{entry.origin}: goes to {entry.target}, as {origins[entry.target]} does; rename one of the two"
                )
            origins[entry.target] = entry.origin
            if problem := entry.missing_decoder():
                self.unreadable.append((entry.target, problem, entry.origin))
            self.taken.add(place, entry.part, entry.group)
            yield entry
        if not origins:
            raise DataError(f"{self.path}: no images found; expected {SHOWN}")


def check_target(entry: Entry) -> Place:
    """Where an entry goes; a place that ingest would refuse is refused, whatever kind of source named it.

    Raises:
        DataError: naming the origin and what is wrong.
    """
    place = parse_place(entry.target)
    if place is None and entry.target.startswith(f"{OPEN_SETS}/") and entry.target.count("/") == 2:
        raise DataError(f"{entry.origin}: {folder_problem('domain', OPEN_SETS)}")
    if place is None:
        raise DataError(f"{entry.origin}: {entry.target!r} is neither {DOMAINS_LAYOUT} nor {POOLS_LAYOUT}")
    top = folder_problem("pool", place.pool) if place.pool else folder_problem("domain", place.domain)
    problem = top or folder_problem("class", place.class_)
    if problem:
        raise DataError(f"{entry.origin}: {problem}")
    if problem := name_problem(place.file):
        raise DataError(f"{entry.origin}: the name {place.file!r} {problem}; rename it")
    if not is_image_content(place.file, entry.head):
        raise DataError(f"{entry.origin}: not an image file; expected {SHOWN}")
    if problem := part_problem(entry.part) or group_problem(entry.group):
        raise DataError(f"{entry.origin}: {problem}")
    return place
