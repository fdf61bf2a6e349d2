"""Files of a data root that cannot be used: errors that stop a run, and messages of a run that skips them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.classes import in_domains
from pipeline.data.layout import class_folder, is_utf8, parse_place, printable
from pipeline.errors import DataError
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

    A class that is left in another domain is for the quality gate to judge; a class that is left nowhere would silently
    be missing from every later stage.

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
    left = manifest[["domain", "pool", "class"]].drop_duplicates()
    domains, classes = set(in_domains(left)["domain"]), set(in_domains(left)["class"])
    kept = {class_folder(class_, domain=domain, pool=pool) for domain, pool, class_ in left.itertuples(index=False)}
    folders = {path.rpartition("/")[0]: (path, problem) for path, problem in reversed(refused)}
    for folder, (path, problem) in sorted(folders.items()):
        place = parse_place(path)
        if folder in kept or place is None:
            continue  # images are left, or the file was at the wrong depth
        if place.domain:
            for kind, name, present in (("domain", place.domain, domains), ("class", place.class_, classes)):
                if name not in present:
                    first = f"the first refused is {path}: {problem}"
                    raise DataError(f"{root}: no usable image of the {kind} {name!r}; {first}")
        _say(f"no usable image in {folder}")


def _say(text: str) -> None:
    print(f"ingest: {text}", file=sys.stderr, flush=True)


def _problems(refused: Sequence[tuple[str, str]], most: int) -> str:
    return shorten([f"{path}: {problem}" for path, problem in refused[:most]], most, separator="; ", total=len(refused))
