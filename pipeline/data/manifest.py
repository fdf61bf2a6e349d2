"""The manifest of a data root: every image is hashed and decoded once, and again only when it changes."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipeline.data.given import GROUP, PART, read_given
from pipeline.data.layout import parse_place
from pipeline.data.listing import list_images
from pipeline.data.parts import check_domains
from pipeline.data.reading import Facts, read_image, signature, within_limits
from pipeline.data.record import ReadingRecord
from pipeline.data.refused import check_left, fail
from pipeline.errors import DataError
from pipeline.progress import Progress
from pipeline.tables import MANIFEST, REFUSED

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.params import Data

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


def build_manifest(data: Data, *, record: Path | None = None) -> Inventory:
    """Describe every image below `data.root`.

    The result depends on the files alone, not on their order on disk, their times, or the record.

    Args:
        data: section `data` of params. `root` holds domain/class/image, and optionally open_sets/pool/class/image and
            parts.csv and groups.csv; hidden files are skipped. An image with a side below `min_side` or more than
            `max_pixels` pixels is refused; `on_bad_image: skip` continues without such files. Hashing and decoding in
            `workers` threads release the interpreter lock.
        record: file that keeps, from run to run, what was read; an unchanged image is not read again.
    Raises:
        DataError: the folder is missing or empty; a folder is at the wrong depth, is empty or has an invalid name;
            domains are called as parts (`check_domains`); parts.csv or groups.csv is wrong; or the record cannot be
            used. With `fail`: a file is at the wrong depth, is not an image, is a link that leaves the folder, has a
            name that is not UTF-8, or is an image that is damaged, too small or too large (the first 20 are named);
            what was read is recorded all the same. With `skip`: no image of a domain, or of a class of the domains, can
            be used.
    """
    import pandas as pd

    root, skip = Path(data.root), data.on_bad_image == "skip"
    check_domains(root)
    listing = list_images(root)
    parts, groups = (read_given(root, listing, given) for given in (PART, GROUP))
    refused = list(listing.refused)
    if not skip:
        fail(root, refused)
    read = 0

    def rows(images: Iterator[_Image], progress: Progress) -> Iterator[tuple[str | int, ...]]:
        nonlocal read
        for part, group, image in zip(parts, groups, images, strict=True):
            place = parse_place(image.path)
            if image.facts is None or place is None:
                refused.append((image.path, image.problem))
            else:
                yield (image.path, place.domain, place.class_, place.pool, part, group, *image.facts)
            read += image.read
            progress.advance()

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module=r"PIL\.")  # one for each odd EXIF block; what matters raises an error
        known = stack.enter_context(ReadingRecord(record, root)) if record is not None else None
        progress = stack.enter_context(Progress("ingest", len(listing.paths), "images"))
        images = _read_all(data, listing.paths, known)
        stack.callback(images.close)
        manifest = _table(rows(images, progress))
    refused.sort()
    if not skip:
        fail(root, refused)
    check_left(root, manifest, refused)
    return Inventory(manifest, pd.DataFrame(refused, columns=list(REFUSED.columns)).astype(dict(REFUSED.columns)), read)


class _Image(NamedTuple):
    path: str
    facts: Facts | None  # None: the image cannot be used
    problem: str
    signature: str  # "": not to be recorded
    read: bool


def _read_all(data: Data, paths: Sequence[str], record: ReadingRecord | None) -> Generator[_Image, None, None]:
    """The images in the order of `paths`; each is recorded before it is yielded."""
    waiting: deque[Future[list[_Image]]] = deque()
    pool = ThreadPoolExecutor(data.workers)

    def finished() -> list[_Image]:
        images = waiting.popleft().result()
        fresh = [(i.path, i.signature, i.facts) for i in images if i.read and i.facts is not None and i.signature]
        if record is not None and fresh:
            record.add(fresh)
        return images

    try:
        for start in range(0, len(paths), _BATCH):
            if len(waiting) == _AHEAD * data.workers:
                yield from finished()
            batch = paths[start : start + _BATCH]
            known = record.find(batch) if record is not None else {}
            waiting.append(pool.submit(_read_batch, data, batch, known))
        while waiting:
            yield from finished()
    finally:
        pool.shutdown(cancel_futures=True)


def _read_batch(data: Data, batch: Sequence[str], known: dict[str, tuple[str, Facts]]) -> list[_Image]:
    return [_read(data, path, *known.get(path, ("", None))) for path in batch]


def _read(data: Data, path: str, mark: str, facts: Facts | None) -> _Image:
    try:
        # An image beyond the present limits is read again, for the same error as without a record.
        if facts is not None and within_limits(facts, data) and signature((Path(data.root) / path).stat()) == mark:
            return _Image(path, facts, "", mark, read=False)
        facts, mark = read_image(path, data)
        return _Image(path, facts, "", mark, read=True)
    except OSError as error:
        return _Image(path, None, f"cannot be read: {error.strerror}", "", read=False)
    except DataError as error:
        return _Image(path, None, str(error), "", read=True)


def _table(rows: Iterator[tuple[str | int, ...]]) -> pd.DataFrame:
    """A MANIFEST table; rows become columns in chunks: a million tuples would take gigabytes."""
    import pandas as pd

    frames: list[pd.DataFrame] = []
    chunk = list(itertools.islice(rows, _CHUNK))
    while chunk or not frames:
        frame = pd.DataFrame(chunk, columns=["path", "domain", "class", "pool", "part", "group", *Facts._fields])
        frames.append(frame[list(MANIFEST.columns)].astype(dict(MANIFEST.columns)))
        chunk = list(itertools.islice(rows, _CHUNK))
    return pd.concat(frames, ignore_index=True)
