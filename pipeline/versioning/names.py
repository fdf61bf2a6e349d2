"""Names of data sets and of their versions: `pacs`, `pacs@2`, `pacs@<git revision>`."""

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
        ParamsError: it is not a plain name, is reserved, or ends as a file beside a data set does.
    """
    check_plain(name, what)
    if name.lower() in RESERVED:
        raise ParamsError(
            f"{what}: {name!r} is reserved: {FOLDER}/{name.lower()} holds other files; choose another name"
        )
    if name.endswith((".dvc", ".yaml")):
        raise ParamsError(f"{what}: {name!r} ends as a file beside a data set does; choose another name")
    return name


def check_plain(name: str, what: str) -> None:
    """Refuse what cannot be the name of a data set or a backbone: a part of file names, git paths and MLflow tags.

    Raises:
        ParamsError: it is empty, too long, or holds other characters; `what` is named.
    """
    if not re.fullmatch(_NAME, name) or len(name) > _MAX:
        raise ParamsError(
            f"{what}: invalid name {name!r}; expected a letter or digit, then letters, digits, '.', '_' or '-' "
            f"({_MAX} characters at most)"
        )


def parse_reference(text: str) -> Reference:
    """Read `NAME`, `NAME@2` or `NAME@<git revision>`.

    Raises:
        ParamsError: the text is none of these.
    """
    name, at, version = text.partition("@")
    check_name(name, "data set")
    if at and not re.fullmatch(_REVISION, version):
        raise ParamsError(f"{text}: expected NAME, NAME@<version number> or NAME@<git revision>")
    return Reference(name, version)
