"""Content hashes: what ties a number to the bytes that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import DataError


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None


def tree_sha256(path: Path) -> str:
    """SHA-256 over a folder's relative file names and contents (or of one file), independent of the listing's order."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return digest.hexdigest()


def lineage(inputs: Mapping[str, Path]) -> dict[str, str]:
    """Content hashes of what something was made of: name to SHA-256."""
    return {name: tree_sha256(path) for name, path in inputs.items()}
