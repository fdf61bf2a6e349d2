"""How an input differs between two records: by its versions and files, where they are known."""

from __future__ import annotations

from pathlib import Path

from pipeline.comparison.changes import Pair
from pipeline.dvc_runner.cache import Cache
from pipeline.versioning.contents import listed
from pipeline.versioning.difference import compare
from pipeline.versioning.history import number_of, read_history
from pipeline.versioning.names import FOLDER
from pipeline.versioning.show import headline

_SHOWN = 12  # digits of a hash
ARROW = "→"


def describe_input(root: Path, cache: Cache, path: str, pair: Pair) -> str:
    """`version 2 → version 3 (12 added, 1 moved)`; hashes where a state is no version.

    Args:
        root: the project.
        cache: DVC's.
        path: of the data or the weights.
        pair: DVC's MD5 in A and in B; "" where it was not used.
    """
    folder = Path(path)
    versions = read_history(root, folder.name) if folder.parent == FOLDER else []

    def name(md5: str) -> str:
        number = number_of(versions, md5)
        return f"version {number}" if number else md5[:_SHOWN] or "not used"

    a, b = pair
    files = [listed(cache, md5) if md5.endswith(".dir") else None for md5 in pair]
    counts = "" if files[0] is None or files[1] is None else f" ({headline(compare(files[0], files[1]))})"
    return f"{name(a)} {ARROW} {name(b)}{counts}"
