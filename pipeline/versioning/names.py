"""What a data set and a version of it may be called: `pacs`, `pacs@2`, `pacs@<git revision>`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ParamsError

FOLDER = Path("data")
"""Where data sets lie in the workspace, each in a folder of its name with its .dvc file beside it."""

RESERVED = ("builtin", "backbones")
"""Folders of FOLDER that hold other things."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_REVISION = r"[A-Za-z0-9_][A-Za-z0-9_./~^-]*"
_MAX = 100  # characters; a file name also holds .versions.yaml and a temporary suffix


@dataclass(frozen=True)
class Reference:
    """A data set and a version of it; the present one where `version` is empty."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.version}" if self.version else self.name


def check_name(name: str, what: str = "--name") -> str:
    """The name, if a data set can have it.

    Raises:
        ParamsError: it is no plain name, is taken by something else, or ends as a file beside a data set does.
    """
    if not re.fullmatch(_NAME, name) or len(name) > _MAX:
        raise ParamsError(
            f"{what}: expected a letter or digit, then letters, digits, '.', '_', '-' ({_MAX} at most), found {name!r}"
        )
    if name.lower() in RESERVED:
        raise ParamsError(f"{what}: {name!r} is a folder of {FOLDER}/ that holds other things; choose another name")
    if name.endswith((".dvc", ".yaml")):
        raise ParamsError(f"{what}: {name!r} ends as a file beside a data set does; choose another name")
    return name


def parse_reference(text: str) -> Reference:
    """Read `NAME`, `NAME@2` or `NAME@<git revision>`.

    Raises:
        ParamsError: it is none of these.
    """
    name, at, version = text.partition("@")
    check_name(name, "data set")
    if at and not re.fullmatch(_REVISION, version):
        raise ParamsError(f"{text}: expected NAME, NAME@<version number> or NAME@<git revision>")
    return Reference(name, version)
