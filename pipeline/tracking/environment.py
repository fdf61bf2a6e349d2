"""The environment that a run had: its lock file and its interpreter."""

from __future__ import annotations

import functools
import hashlib
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import DataError
from pipeline.hashing import file_sha256

LOCK_FILE = "requirements.lock"
LOCK_TAG, PYTHON_TAG, BINARY_TAG = "lock_sha256", "python", "python_sha256"


def environment_tags(root: Path) -> dict[str, str]:
    """SHA-256 of the project's lock file ("" without one), the interpreter in words, and SHA-256 of its program."""
    lock = root / LOCK_FILE
    return {LOCK_TAG: file_sha256(lock) if lock.is_file() else "", **_interpreter()}


def environment_id(tags: Mapping[str, str]) -> str:
    """One hash of all three, 64 hex digits; "" where a run of an earlier revision did not record them."""
    values = [tags.get(name, "") for name in (LOCK_TAG, PYTHON_TAG, BINARY_TAG)]
    return hashlib.sha256("\n".join(values).encode()).hexdigest() if all(values) else ""


@functools.cache
def _interpreter() -> dict[str, str]:
    words = f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    try:
        binary = file_sha256(Path(sys.executable).resolve())
    except DataError:  # a program that may be run and not read
        binary = ""
    return {PYTHON_TAG: words, BINARY_TAG: binary}
