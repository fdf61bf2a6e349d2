"""Which versions of data sets hold certain bytes: by DVC's hash, whatever the data set is called."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from pipeline.data.layout import VERSIONS_ENDING
from pipeline.errors import DataError
from pipeline.versioning.history import read_history
from pipeline.versioning.names import FOLDER


class Named:
    """Names and numbers of versions by hash: as the workspace has them, else as any commit had them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._here = dict(_present(root))
        self._past: dict[tuple[str, str], int] | None = None

    def of(self, md5: str, name: str = "") -> list[tuple[str, int]]:
        """Every version with this content as (name, number), that of `name` first; [] if it is none."""
        found = _with(self._here, md5)
        if not found:
            if self._past is None:
                self._past = dict(_committed(self._root))
            found = _with(self._past, md5)
        return sorted(found, key=lambda pair: (pair[0] != name, pair))


def _with(versions: Mapping[tuple[str, str], int], md5: str) -> list[tuple[str, int]]:
    return [(name, number) for (name, content), number in versions.items() if content == md5]


def _present(root: Path) -> Iterator[tuple[tuple[str, str], int]]:
    for path in sorted((root / FOLDER).glob(f"*{VERSIONS_ENDING}")):
        name = path.name.removesuffix(VERSIONS_ENDING)
        try:
            for version in read_history(root, name):
                yield (name, version.md5), version.number  # the latest, where content came back
        except DataError:  # `croft data` commands name the file and what to do
            continue


def _committed(root: Path) -> Iterator[tuple[tuple[str, str], int]]:
    pattern = f"{FOLDER.as_posix()}/*{VERSIONS_ENDING}"
    for commit in reversed(_git(root, "log", "--all", "--format=%H", "--", pattern).split()):
        for path in _git(root, "ls-tree", "--name-only", commit, f"{FOLDER.as_posix()}/").splitlines():
            if not path.endswith(VERSIONS_ENDING):
                continue
            try:
                versions = yaml.safe_load(_git(root, "show", f"{commit}:./{path}"))["versions"]
                for item in versions:
                    yield (Path(path).name.removesuffix(VERSIONS_ENDING), str(item["md5"])), int(item["number"])
            except (yaml.YAMLError, KeyError, TypeError, ValueError):
                continue


def _git(root: Path, *arguments: str) -> str:
    """What git prints; "" if it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return ""
    return "" if done.returncode else done.stdout
