"""JSON files that name images: read whole, with a limit; the first key tells whose they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.sources.encodings import check_utf8, not_utf8

_MAX_BYTES = 512 * 1024**2  # CoOp's split of ImageNet is 130 MB
_START = 4096  # characters that hold the first key


def read_json(path: Path) -> Any:
    """The content of a .json file.

    Args:
        path: UTF-8, with or without a byte order mark.
    Raises:
        DataError: it is too large, not UTF-8 or not valid JSON.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: larger than {_MAX_BYTES:,} bytes; no list of images is")
    check_utf8(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise not_utf8(path) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON: {' '.join(str(error).split())[:200]}") from None


def json_kind(path: Path) -> str:
    """The kind of source that a .json file is, by its beginning."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        start = file.read(_START).lstrip()
    if start.startswith("["):
        return "label-studio"
    return "fiftyone" if re.match(r'\{\s*"(classes|labels)"\s*:', start) else "split-file"
