"""Files of a data root that cannot be used: what stops a run, and what is said when it goes on without them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.data.classes import in_domains
from pipeline.data.layout import is_utf8, printable
from pipeline.errors import DataError
from pipeline.tables import OPEN_SETS

if TYPE_CHECKING:
    import pandas as pd

_NAMED = 20  # files that one error names; the rest are counted
_SHOWN = 5  # files that are printed when a run goes on


def fail(root: Path, refused: Sequence[tuple[str, str]]) -> None:
    """Stop at files that cannot be used.

    Args:
        root: of the data.
        refused: (path, problem) pairs; with none, nothing happens.
    Raises:
        DataError: naming the first 20 and counting the rest.
    """
    if refused:
        raise DataError(
            f"{root}: {_count(len(refused))}; repair or remove, or set data.on_bad_image to skip: "
            f"{_some(refused, _NAMED)}"
        )


def check_names(root: Path) -> None:
    """Refuse names that DVC could not write down, before it meets them: its own error does not say which they are.

    Args:
        root: of the data; all that lies below it is looked at, hidden files too.
    Raises:
        DataError: names are not UTF-8; the first 20 are named and the rest counted.
    """
    bad: list[tuple[str, str]] = []
    for folder, folders, files in os.walk(root):
        names = [name for name in (*folders, *files) if not is_utf8(name)]
        bad += [(printable(os.path.join(folder, name)), "the name is not UTF-8") for name in names]
    if bad:
        raise DataError(f"DVC cannot keep files whose names are not UTF-8; rename: {_some(sorted(bad), _NAMED)}")


def check_left(root: Path, manifest: pd.DataFrame, refused: Sequence[tuple[str, str]]) -> None:
    """Say which files a run goes on without, and which class folders that empties.

    A class that is left in another domain is for the quality gate to judge; one that is left nowhere would be missing
    from everything after without a word.

    Args:
        root: of the data.
        manifest: MANIFEST table of the files that are left.
        refused: (path, problem) pairs; with none, nothing happens.
    Raises:
        DataError: no image is left of a domain, or of a class of the domains.
    """
    if not refused:
        return
    _say(f"going on without {_count(len(refused))}: {_some(refused, _SHOWN)}")
    left = manifest[["pool", "domain", "class"]].drop_duplicates()
    domains, classes = set(in_domains(left)["domain"]), set(in_domains(left)["class"])
    kept = {"/".join(filter(None, (OPEN_SETS if p else "", p, d, c))) for p, d, c in left.itertuples(index=False)}
    folders = {path.rpartition("/")[0]: f"{path}: {problem}" for path, problem in reversed(refused)}
    for folder, first in sorted(folders.items()):
        names = folder.split("/")
        if folder in kept or len(names) != (3 if names[0] == OPEN_SETS else 2):
            continue  # something is left, or the file lay at the wrong depth
        if names[0] != OPEN_SETS:
            for kind, name, present in (("domain", names[0], domains), ("class", names[1], classes)):
                if name not in present:
                    raise DataError(f"{root}: no image is left of the {kind} {name!r}; the first refused is {first}")
        _say(f"no image is left of {folder}")


def _say(text: str) -> None:
    print(f"ingest: {text}", file=sys.stderr, flush=True)


def _count(number: int) -> str:
    return f"{number} bad image{'' if number == 1 else 's'}"


def _some(refused: Sequence[tuple[str, str]], most: int) -> str:
    named = "; ".join(f"{path}: {problem}" for path, problem in refused[:most])
    return named + (f"; and {len(refused) - most} more" if len(refused) > most else "")
