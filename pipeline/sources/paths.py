"""Files that a listing names: looked up below its folder, and never outside it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.images.formats import is_image, is_image_content

_TRIED = 3  # first rows that a folder of images must hold


class Below:
    """Resolves relative paths below one folder; a path that leaves it, or is no file, is reported as a problem."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._folders: dict[str, tuple[str, bool]] = {}  # as named: (resolved, whether inside), each looked at once
        self._endings: dict[str, dict[str, list[str]]] = {}  # resolved folder: name without ending to names of files

    def locate(self, relative: str) -> tuple[str, Path | None, str]:
        """(path, file, problem) as `find`, where the path may lack its file's ending: `000bec18` for 000bec18.jpg.

        The path comes back with the ending, if one image alone has that name.
        """
        file, problem = self.find(relative)
        if file is None and not path_problem(relative) and len(names := self._named(relative)) == 1:
            relative = f"{relative[: relative.rfind('/') + 1]}{names[0]}"
            file, problem = self.find(relative)
        return relative, file, problem

    def _named(self, relative: str) -> list[str]:
        """Image files whose name without its ending is the path's last part."""
        folder, _, stem = relative.rpartition("/")
        real, within = self._folders.get(folder, ("", False))
        if not within:
            return []
        if real not in self._endings:
            known = self._endings[real] = {}
            with contextlib.suppress(OSError):
                for name in sorted(os.listdir(real)):
                    before, dot, _ = name.rpartition(".")
                    if dot:
                        known.setdefault(before, []).append(name)
        return [name for name in self._endings[real].get(stem, []) if self._is_image(Path(real, name))]

    def _is_image(self, file: Path) -> bool:
        """As `formats.is_image`; what a link outside leads to is never opened, and `find` refuses the link."""
        if file.resolve().is_relative_to(self.root):
            return is_image(file)
        return is_image_content(file.name, lambda: b"")

    def find(self, relative: str) -> tuple[Path | None, str]:
        """(file, "") or (None, problem)."""
        problem = path_problem(relative)
        if problem:
            return None, problem
        folder, _, name = relative.rpartition("/")
        if folder not in self._folders:
            real = os.path.realpath(self.root / folder)
            self._folders[folder] = (real, Path(real).is_relative_to(self.root))
        real, within = self._folders[folder]
        file = f"{real}/{name}"
        try:
            mode = os.lstat(file).st_mode
            if stat.S_ISLNK(mode):
                file = os.path.realpath(file)
                within = Path(file).is_relative_to(self.root)
                mode = os.lstat(file).st_mode
        except (OSError, ValueError):
            mode = 0
        if not within:
            return None, f"a link that leaves {self.root.name}"
        if stat.S_ISREG(mode):
            return Path(file), ""
        several = self._named(relative)
        return None, f"several files have this name ({', '.join(several[:3])})" if len(several) > 1 else "no such file"


def path_problem(relative: str) -> str:
    """Why a path cannot be one below a folder; "" if it can."""
    if not relative or "\0" in relative:
        return "not a path"
    if relative.startswith(("/", "~")) or "\\" in relative or relative[1:2] == ":":
        return "an absolute path, or one written without '/'; expected a path relative to the listing's folder"
    if ".." in relative and ".." in relative.split("/"):
        return "a path with '..', which leaves the listing's folder"
    return ""


def image_root(listing: Path, paths: Sequence[str], images: Path | None) -> Path:
    """The folder that a listing's paths are relative to: the one given, or what holds its first images.

    Looked at are the listing's folder, the folders in it, its parent and the folders in that: split files lie beside
    the folder of images.

    Raises:
        DataError: the folder given is not there, or none or more than one holds the first images.
    """
    if images is not None:
        if not images.is_dir():
            raise DataError(f"--images {images}: no such folder")
        return images
    here = listing.resolve().parent
    tried = [path for path in paths if not path_problem(path)][:_TRIED]
    for base in (here, here.parent):
        candidates = [base, *(folder for folder in folders_in(base))]
        matches = [folder for folder in candidates if tried and _holds(folder, tried)]
        if len(matches) == 1 or (matches and matches[0] == base):
            return matches[0]
        if matches:
            raise DataError(
                f"{listing}: its first images are in both {matches[0].name} and {matches[1].name}; name the folder of "
                "images with --images"
            )
    return here  # so that the first missing file is named


def _holds(folder: Path, paths: Sequence[str]) -> bool:
    below = Below(folder)
    return all(below.locate(path)[1] is not None for path in paths)


def folders_in(base: Path) -> list[Path]:
    """The folders in a folder that are not hidden, sorted; none where it cannot be listed."""
    try:
        return sorted(path for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def file_names(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What each listed path's file is called in its class folder: its own name, or its path where names meet.

    Args:
        rows: (folder of the class in the workspace, path) pairs.
    Returns:
        path to file name; 'a/1.jpg' and 'b/1.jpg' of one class become 'a--1.jpg' and 'b--1.jpg'.
    """
    listed = [(folder, path, path.rpartition("/")[2]) for folder, path in rows]
    count: dict[tuple[str, str], set[str]] = {}
    for folder, path, name in listed:
        count.setdefault((folder, name.lower()), set()).add(path)
    return {
        path: name if len(count[folder, name.lower()]) == 1 else "--".join(PurePosixPath(path).parts)
        for folder, path, name in listed
    }
