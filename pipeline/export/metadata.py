"""The metadata of a safetensors file in order, so that equal content has an equal hash."""

from __future__ import annotations

import json
from pathlib import Path

_KEY = "__metadata__"
_LENGTH = 8  # bytes of the number before the header, little-endian


def sort_metadata(path: Path) -> None:
    """Sort the keys of a file's metadata in place; the library writes them in a new order each time.

    Args:
        path: of a file that safetensors has just written and nobody reads yet.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        header = json.loads(file.read(length))
        if _KEY not in header:
            return
        header[_KEY] = dict(sorted(header[_KEY].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ValueError(f"{path}: the sorted header has {len(text):,} bytes; expected {length:,} at most")
        file.seek(_LENGTH)
        file.write(text.ljust(length))  # the library itself pads with spaces
