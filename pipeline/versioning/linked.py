"""What stages made at any revision, by DVC's hashes: a folder of links into the cache, in place of a checkout."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.dvc_runner.cache import Cache
from pipeline.dvc_runner.remote import fetch
from pipeline.errors import DataError, PipelineError
from pipeline.versioning.contents import file_md5, listed

_LISTING = ".dir"  # ends the hash of a folder


@dataclass(frozen=True)
class Found:
    """Outputs in DVC's cache.

    Attributes:
        cache: DVC's.
        hashes: path of an output to DVC's MD5 of it; of a folder, of its listing.
        files: path of an output to MD5 by path inside it ("" for an output that is a file).
        lacking: paths of outputs of which the cache lacks a part.
        trouble: why the remote could not be asked; "" where it could, or there is none.
    """

    cache: Cache
    hashes: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]]
    lacking: tuple[str, ...] = ()
    trouble: str = ""

    @contextlib.contextmanager
    def linked(self) -> Iterator[Path]:
        """A temporary folder that has the outputs at their paths, as links: it takes no space, whatever they lead to.

        A file that was mapped stays mapped when the folder goes.
        """
        with tempfile.TemporaryDirectory(prefix="croft-") as scratch:
            for output, contents in self.files.items():
                for path, content in contents.items():
                    link = Path(scratch) / output / path
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(self.cache.object(content))
            yield Path(scratch)

    def damaged(self, output: str) -> list[Path]:
        """The objects of an output whose bytes are not those of their names."""
        hashes = dict.fromkeys((self.hashes[output], *self.files[output].values()))
        return [path for one in hashes if file_md5(path := self.cache.object(one)) != one.removesuffix(_LISTING)]


def find_outputs(root: Path, cache: Cache, outputs: Mapping[str, str]) -> Found:
    """Look outputs up in DVC's cache; what it lacks, and nothing else, is fetched from the default remote.

    Args:
        root: where .dvc is.
        cache: DVC's.
        outputs: path to DVC's MD5 of it; of a folder, of its listing.
    Raises:
        DataError: a listing is damaged.
    """
    trouble = _fetch(root, cache, outputs.values())
    files: dict[str, Mapping[str, str]] = {}
    for output, content in outputs.items():
        inside = listed(cache, content) if content.endswith(_LISTING) else {"": content}
        if inside is not None:
            files[output] = _checked(inside, cache.object(content))
    trouble = trouble or _fetch(root, cache, [content for inside in files.values() for content in inside.values()])
    lacking = [output for output in outputs if output not in files or _absent(cache, files[output].values())]
    return Found(cache, outputs, files, tuple(lacking), trouble)


def _fetch(root: Path, cache: Cache, hashes: Collection[str]) -> str:
    """Why the remote could not be asked for those that the cache lacks."""
    absent = _absent(cache, hashes)
    if absent and cache.remote:
        try:
            fetch(root, absent)
        except PipelineError as error:
            return str(error)
    return ""


def _absent(cache: Cache, hashes: Collection[str]) -> list[str]:
    return [one for one in dict.fromkeys(hashes) if not cache.object(one).is_file()]


def _checked(files: Mapping[str, str], listing: Path) -> Mapping[str, str]:
    """The files of a folder; none of their names, which come from a file, leads out of it."""
    for path in map(PurePosixPath, files):
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"{listing}: not a DVC listing: it names {path}; remove it and run `dvc fetch`")
    return files
