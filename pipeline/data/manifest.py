"""The manifest of a data root: every image is hashed and decoded once, and again only when it changes."""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.data.listing import list_images
from pipeline.data.parts import read_parts
from pipeline.data.reading import Facts, Limits, read_image, signature
from pipeline.data.record import ReadingRecord
from pipeline.data.refused import check_left, fail
from pipeline.errors import DataError
from pipeline.progress import Progress
from pipeline.tables import MANIFEST, REFUSED

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 16  # images per task of a thread and per transaction of the record: the most that a kill can cost a thread
_AHEAD = 8  # queued tasks per thread, so that no thread idles during a slow task
_CHUNK = 4096  # rows held as Python objects before they become columns


@dataclass(frozen=True)
class Inventory:
    """What a data root holds.

    Attributes:
        manifest: MANIFEST table, sorted by path.
        refused: REFUSED table, sorted by path.
        read: number of files whose bytes were read; the others are known from an earlier run.
    """

    manifest: pd.DataFrame
    refused: pd.DataFrame
    read: int


def build_manifest(
    root: Path, *, min_side: int, max_pixels: int, workers: int, skip: bool = False, record: Path | None = None
) -> Inventory:
    """Describe every image below `root`.

    The result depends on the files alone, not on their order on disk, their times, or the record.

    Args:
        root: holds domain/class/image, and optionally open_sets/pool/class/image and parts.csv; hidden files are
            skipped.
        min_side: pixels; an image with a shorter side is refused.
        max_pixels: width x height above which an image is refused.
        workers: threads; hashing and decoding release the interpreter lock.
        skip: continue without the files that are refused.
        record: file that keeps, from run to run, what was read; an unchanged image is not read again.
    Raises:
        DataError: the folder is missing or empty; a folder is at the wrong depth, is empty or has an invalid name;
            parts.csv is wrong; or the record cannot be used. Without `skip`: a file is at the wrong depth, is not an
            image, is a link that leaves the folder, has a name that is not UTF-8, or is an image that is damaged, too
            small or too large (the first 20 are named); what was read is recorded all the same. With `skip`: no image
            of a domain, or of a class of the domains, can be used.
    """
    import pandas as pd

    listing = list_images(root)
    parts = read_parts(root, listing)
    refused = list(listing.refused)
    if not skip:
        fail(root, refused)
    table = _Rows()
    read = 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"PIL\.")  # one for each odd EXIF block; what matters raises an error
        known = stack.enter_context(ReadingRecord(record, root)) if record is not None else None
        progress = stack.enter_context(Progress("ingest", len(listing.paths), "images"))
        limits = Limits(min_side=min_side, max_pixels=max_pixels)
        images = _read_all(root, listing.paths, limits, workers, known)
        stack.callback(images.close)
        for part, image in zip(parts, images, strict=True):
            if image.facts is None:
                refused.append((image.path, image.problem))
            else:
                table.add(image.path, part, image.facts)
            read += image.read
            progress.advance()
    refused.sort()
    if not skip:
        fail(root, refused)
    manifest = table.frame()
    check_left(root, manifest, refused)
    return Inventory(manifest, pd.DataFrame(refused, columns=list(REFUSED.columns)).astype(dict(REFUSED.columns)), read)


class _Image(NamedTuple):
    path: str
    facts: Facts | None  # None: the image cannot be used
    problem: str
    signature: str  # "": not to be recorded
    read: bool


def _read_all(
    root: Path, paths: Sequence[str], limits: Limits, workers: int, record: ReadingRecord | None
) -> Generator[_Image, None, None]:
    """The images in the order of `paths`; each is recorded before it is yielded."""
    waiting: deque[Future[list[_Image]]] = deque()
    pool = ThreadPoolExecutor(workers)

    def finished() -> list[_Image]:
        images = waiting.popleft().result()
        fresh = [(i.path, i.signature, i.facts) for i in images if i.read and i.facts is not None and i.signature]
        if record is not None and fresh:
            record.add(fresh)
        return images

    try:
        for start in range(0, len(paths), _BATCH):
            if len(waiting) == _AHEAD * workers:
                yield from finished()
            batch = paths[start : start + _BATCH]
            known = record.find(batch) if record is not None else {}
            waiting.append(pool.submit(_read_batch, root, batch, limits, known))
        while waiting:
            yield from finished()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(root: Path, batch: Sequence[str], limits: Limits, known: dict[str, tuple[str, Facts]]) -> list[_Image]:
    return [_read(root, path, limits, *known.get(path, ("", None))) for path in batch]


def _read(root: Path, path: str, limits: Limits, mark: str, facts: Facts | None) -> _Image:
    try:
        # An image beyond the present limits is read again, for the same error as without a record.
        if facts is not None and limits.hold(facts) and signature((root / path).stat()) == mark:
            return _Image(path, facts, "", mark, read=False)
        facts, mark = read_image(root, path, limits)
        return _Image(path, facts, "", mark, read=True)
    except OSError as error:
        return _Image(path, None, f"cannot be read: {error.strerror}", "", read=False)
    except DataError as error:
        return _Image(path, None, str(error), "", read=True)


class _Rows:
    """Rows of the manifest, held as columns: a million dictionaries would take gigabytes."""

    _COLUMNS = ("path", "domain", "class", "pool", "part", *Facts._fields)

    def __init__(self) -> None:
        self._rows: list[tuple[str | int, ...]] = []
        self._frames: list[pd.DataFrame] = []

    def add(self, path: str, part: str, facts: Facts) -> None:
        *pool, folder, class_, _ = path.split("/")
        self._rows.append((path, "" if pool else folder, class_, folder if pool else "", part, *facts))
        if len(self._rows) == _CHUNK:
            self._pack()

    def frame(self) -> pd.DataFrame:
        import pandas as pd

        if self._rows or not self._frames:
            self._pack()
        return pd.concat(self._frames, ignore_index=True)

    def _pack(self) -> None:
        import pandas as pd

        frame = pd.DataFrame(self._rows, columns=list(self._COLUMNS))
        self._frames.append(frame[list(MANIFEST.columns)].astype(dict(MANIFEST.columns)))
        self._rows.clear()
