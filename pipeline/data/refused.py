"""Files of a data root that cannot be used: errors that stop a run, and messages of a run that skips them."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.classes import in_domains
from pipeline.data.layout import class_folder, is_utf8, parse_place, printable
from pipeline.errors import DataError
from pipeline.images import FORMATS, missing_decoder
from pipeline.phrases import counted, shorten

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 20  # files that an error names; it counts the rest
_SHOWN = 5  # files that are printed when a run continues


def fail(root: Path, refused: Sequence[tuple[str, str]]) -> None:
    """Stop if there are files that cannot be used.

    Args:
        root: of the data.
        refused: (path, problem) pairs; with none, nothing happens.
    Raises:
        DataError: names the first 20 files and counts the rest.
    """
    if refused:
        raise DataError(
            f"{root}: {counted(len(refused), 'bad image')} (repair or remove, or set data.on_bad_image: skip): "
            f"{_problems(refused, _NAMED)}"
        )


def check_names(root: Path) -> None:
    """Refuse names that DVC cannot store before it sees them: its error does not name them.

    Args:
        root: of the data; everything below it is checked, hidden files included.
    Raises:
        DataError: a name is not UTF-8; the first 20 are named, the rest counted.
    """
    bad: list[tuple[str, str]] = []
    for folder, folders, files in os.walk(root):
        names = [name for name in (*folders, *files) if not is_utf8(name)]
        bad += [(printable(os.path.join(folder, name)), "the name is not UTF-8") for name in names]
    if bad:
        raise DataError(f"DVC cannot store names that are not UTF-8; rename these: {_problems(sorted(bad), _NAMED)}")


def check_left(root: Path, manifest: pd.DataFrame, refused: Sequence[tuple[str, str]]) -> None:
    """Print which files a run skips and which class folders that empties.

    A class that is left in another domain is for the quality gate to judge (`empty_class`); a class that is left
    nowhere would silently be missing from every later stage.

    Args:
        root: of the data.
        manifest: MANIFEST table of the files that are left.
        refused: (path, problem) pairs; with none, nothing happens.
    Raises:
        DataError: no image is left of a domain, or of a class of the domains.
    """
    if not refused:
        return
    _say(f"continuing without {counted(len(refused), 'bad image')}: {_problems(refused, _SHOWN)}")
    left = in_domains(manifest)
    present = {"domain": set(left["domain"]), "class": set(left["class"])}
    for folder, _, path, problem in empty_folders(manifest, refused):
        place = parse_place(path)
        for kind, name in (("domain", place.domain), ("class", place.class_)) if place and place.domain else ():
            if name not in present[kind]:
                first = f"the first refused is {path}: {problem}"
                raise DataError(f"{root}: no usable image of the {kind} {name!r}; {first}")
        _say(f"no usable image in {folder}")


def empty_folders(manifest: pd.DataFrame, refused: Iterable[tuple[str, str]]) -> list[tuple[str, int, str, str]]:
    """Class folders of which every file was refused.

    Args:
        manifest: MANIFEST table.
        refused: (path, problem) pairs, sorted.
    Returns:
        (folder, number of its files, path and problem of the first), sorted.
    """
    left = manifest[["domain", "pool", "class"]].drop_duplicates()
    kept = {class_folder(class_, domain=domain, pool=pool) for domain, pool, class_ in left.itertuples(index=False)}
    first: dict[str, tuple[str, str]] = {}
    files = Counter[str]()
    for path, problem in refused:
        folder = path.rpartition("/")[0]
        if folder not in kept and parse_place(path) is not None:  # None: a file at the wrong depth
            first.setdefault(folder, (path, problem))
            files[folder] += 1
    return [(folder, files[folder], *first[folder]) for folder in sorted(files)]


def problem_lines(files: Iterable[tuple[str, str, str]]) -> list[str]:
    """One line for each file that cannot be used, but one for all files of a class that lack the same decoder.

    Args:
        files: (path in a data set, problem, how the line calls the file) of each.
    """
    needs = {missing_decoder(name) for name in FORMATS}
    missing = Counter[tuple[str, str]]()
    lines: list[str] = []
    for path, problem, shown in files:
        place = parse_place(path)
        if place is not None and problem in needs:
            missing[place.class_, problem] += 1
        else:
            lines.append(f"{shown}: {problem}")
    counts = [f"{counted(n, 'file')} of the class {class_!r}: {problem}" for (class_, problem), n in missing.items()]
    return [*counts, *lines]


def _say(text: str) -> None:
    print(f"ingest: {text}", file=sys.stderr, flush=True)


def _problems(refused: Sequence[tuple[str, str]], most: int) -> str:
    return shorten(problem_lines((path, problem, path) for path, problem in refused), most, separator="; ")
