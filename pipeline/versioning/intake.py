"""Every image of a source is read once: hashed, decoded where its bytes are new, and put into the next state."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.images import check_side, open_rgb
from pipeline.progress import Progress
from pipeline.versioning.contents import Files, md5

if TYPE_CHECKING:
    from pipeline.params import Data
    from pipeline.sources import Entry
    from pipeline.versioning.workspace import Placer

_CHUNK = 256  # images in flight: bounds the memory that the members of a tar take


@dataclass
class Intake:
    """The images of a source after reading them.

    Attributes:
        files: target to MD5 of every image that can be used.
        new: targets with other bytes than before; they lie in the next state.
        bad: one sentence for each image that cannot be used.
    """

    files: dict[str, str] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)


def take_in(
    entries: Iterable[Entry], total: int, *, known: Files, into: Path | None, placer: Placer, data: Data
) -> Intake:
    """Read, check and place the images of a source.

    Args:
        entries: of the source.
        total: how many they are.
        known: path to MD5 of what the data set holds now; such an image is neither decoded nor placed again.
        into: folder of the next state; None where the images already are where they belong.
        placer: how an image gets there.
        data: min_side and max_pixels, beyond which an image is bad, and the number of threads; decoding releases the
            interpreter lock.
    """
    intake = Intake()
    seen = frozenset(known.values())

    def read(entry: Entry) -> tuple[str, str, str]:
        """(target, MD5, problem)."""
        try:
            content = entry.read()
            digest = md5(content).hexdigest()
            if known.get(entry.target) == digest:
                return entry.target, digest, ""
            if digest not in seen:  # ingest would refuse the same images
                rgb = open_rgb(content, max_pixels=data.max_pixels, name=entry.origin)
                check_side(rgb, min_side=data.min_side, name=entry.origin)
            if into is not None:
                placer.put(into / entry.target, content, entry.file)
        except DataError as error:
            return entry.target, "", str(error)
        return entry.target, digest, ""

    with ThreadPoolExecutor(data.workers) as pool, Progress("check", total, "images") as progress:
        for chunk in _chunks(entries):
            for target, digest, problem in pool.map(read, chunk):
                if problem:
                    intake.bad.append(problem)
                else:
                    intake.files[target] = digest
                    if known.get(target) != digest:
                        intake.new.add(target)
                progress.advance()
    return intake


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    walk = iter(entries)
    while chunk := list(itertools.islice(walk, _CHUNK)):
        yield chunk
