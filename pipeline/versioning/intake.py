"""Every image of a source is read once: hashed, decoded where its bytes are new, and put into the next state."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.refused import problem_lines
from pipeline.errors import DataError
from pipeline.images import check_side, check_whole, decode
from pipeline.phrases import shorten
from pipeline.progress import Progress
from pipeline.versioning.contents import Files, md5

if TYPE_CHECKING:
    from pipeline.params import Data
    from pipeline.sources import Entry
    from pipeline.versioning.workspace import Placer

NAMED = 20  # bad images or folders that one error names
_CHUNK = 256  # images in flight: bounds the memory that the members of a tar take


@dataclass
class Intake:
    """The images of a source after reading them.

    Attributes:
        files: target to MD5 of every image that can be used.
        new: targets with other bytes than before; they lie in the next state.
        bad: (target, problem, origin) of each image that cannot be used; see `problem_lines`.
        defects: "origin: defect" of images that are damaged, and whose whole picture can be read.
    """

    files: dict[str, str] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    bad: list[tuple[str, str, str]] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)

    def check_folders(self, source: str, present: Iterable[str]) -> None:
        """Leave out bad images, but never all of a class folder: the class would silently be missing.

        Args:
            source: in the error.
            present: paths of the data set, where such a folder may hold other images.
        Raises:
            DataError: names the folders, and why their images are bad.
        """
        kept = {_folder(path) for path in (*self.files, *present)}
        lost = [bad for bad in self.bad if _folder(bad[0]) not in kept]
        if lost:
            folders = shorten(sorted({_folder(target) for target, _, _ in lost}), NAMED)
            raise DataError(
                f"{source}: no usable image of {folders}, nothing was added; repair the images, or remove the folders: "
                f"{shorten(problem_lines(lost), NAMED, separator='; ')}"
            )


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

    def read(entry: Entry) -> tuple[Entry, str, str, str]:
        """(entry, MD5, problem, defect)."""
        defect = ""
        try:
            content = entry.read()
            digest = md5(content).hexdigest()
            if known.get(entry.target) == digest:
                return entry, digest, "", ""
            if digest not in seen:  # ingest would refuse the same images
                image = decode(content, max_pixels=data.max_pixels, name=entry.origin)
                check_whole(content, name=entry.origin)
                check_side(image.rgb, min_side=data.min_side, name=entry.origin)
                defect = image.defect
            if into is not None:
                placer.put(into / entry.target, content, entry.file)
        except DataError as error:
            return entry, "", str(error).removeprefix(f"{entry.origin}: "), ""
        return entry, digest, "", defect

    with ThreadPoolExecutor(data.workers) as pool, Progress("check", total, "images") as progress:
        for chunk in _chunks(entries):
            for entry, digest, problem, defect in pool.map(read, chunk):
                if problem:
                    intake.bad.append((entry.target, problem, entry.origin))
                else:
                    intake.files[entry.target] = digest
                    if known.get(entry.target) != digest:
                        intake.new.add(entry.target)
                    if defect:
                        intake.defects.append(f"{entry.origin} {defect}")
                progress.advance()
    return intake


def _folder(target: str) -> str:
    return target.rpartition("/")[0]


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    walk = iter(entries)
    while chunk := list(itertools.islice(walk, _CHUNK)):
        yield chunk
