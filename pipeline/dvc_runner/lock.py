"""What DVC recorded of its stages: which bytes, params and code made which bytes, at any revision."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.dvc_runner.cache import Cache
from pipeline.errors import DataError
from pipeline.params.yaml_text import parse_yaml

LOCK = "dvc.lock"
_OUTPUTS = (
    "artifacts/"  # of the root graph's stages, which are those that a dvc.lock names; the built-in data has another
)
Entry = Mapping[str, Any]
"""One stage as DVC writes it: cmd, deps, params, outs."""


@dataclass(frozen=True)
class Lock:
    """Stages as they were recorded together."""

    entries: tuple[Entry, ...]

    @property
    def outs(self) -> dict[str, str]:
        """Path to MD5 of everything that the stages made."""
        return {out["path"]: out.get("md5", "") for entry in self.entries for out in entry.get("outs", ())}

    @property
    def deps(self) -> dict[str, str]:
        """Path to MD5 of everything that they read and did not make: data, weights and code."""
        outs = self.outs
        read = {dep["path"]: dep.get("md5", "") for entry in self.entries for dep in entry.get("deps", ())}
        return {path: md5 for path, md5 in sorted(read.items()) if path not in outs}

    @property
    def params(self) -> dict[str, Any]:
        """The sections of params.yaml that they read."""
        return {
            key: value
            for entry in self.entries
            for file in entry.get("params", {}).values()
            for key, value in file.items()
        }

    @property
    def in_order(self) -> list[Entry]:
        """The stages, each after those whose outputs it reads."""
        makers = {out["path"]: entry for entry in self.entries for out in entry.get("outs", ())}
        ordered: dict[int, Entry] = {}

        def visit(entry: Entry) -> None:
            for dep in entry.get("deps", ()):
                if (maker := makers.get(dep["path"])) is not None and id(maker) not in ordered and maker is not entry:
                    visit(maker)
            ordered[id(entry)] = entry

        for entry in self.entries:
            if id(entry) not in ordered:
                visit(entry)
        return list(ordered.values())

    def behind(self, path: str) -> Lock:
        """The stages that made an output, directly or by what they made for it; none if no stage did."""
        makers = {out["path"]: entry for entry in self.entries for out in entry.get("outs", ())}
        return _behind(makers.get(path), lambda dep, _: makers.get(dep))


def parse_lock(text: str, source: str) -> Lock:
    """Read the text of a dvc.lock.

    Raises:
        DataError: it is none; names `source`.
    """
    try:
        return Lock(tuple(parse_yaml(text)["stages"].values()))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise DataError(f"{source}: not a {LOCK} of DVC; restore it with `git checkout`") from None


def workspace_lock(root: Path) -> Lock | None:
    """That of the workspace; None without one.

    Raises:
        DataError: it cannot be read.
    """
    path = root / LOCK
    return parse_lock(path.read_text(encoding="utf-8", errors="replace"), str(path)) if path.is_file() else None


def lock_at(root: Path, commit: str) -> Lock | None:
    """That of a commit; None without one.

    Raises:
        DataError: it cannot be read.
    """
    text = _git(root, "show", f"{commit}:./{LOCK}")
    return None if text is None else parse_lock(text, f"{commit[:12]}:{LOCK}")


def commit_of(root: Path, revision: str) -> str:
    """The commit that a git revision, or the name of an experiment of DVC, stands for; "" if there is none."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        commit = _git(root, "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{revision}")
    return (commit or "").strip().partition("\n")[0]


class Records:
    """Everything that DVC recorded in a project: dvc.lock of the workspace and of all commits, and its run cache.

    All is read at the first question, and once.
    """

    def __init__(self, root: Path, cache: Cache) -> None:
        self._root, self._cache = root, cache

    @functools.cached_property
    def locks(self) -> tuple[Lock, ...]:
        """That of the workspace, then those of commits, the newest first; each content once.

        Raises:
            DataError: one cannot be read.
        """
        return tuple(_locks(self._root))

    @functools.cached_property
    def _entries(self) -> Sequence[Entry]:
        return _run_cache(self._cache)

    @functools.cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Every stage that was recorded: in the locks, in their order, then in the run cache, the newest first."""
        return (*(entry for lock in self.locks for entry in lock.entries), *reversed(self._entries))

    @functools.cached_property
    def paths(self) -> frozenset[str]:
        """Whatever a stage made."""
        return frozenset(out["path"] for entry in self.entries for out in entry.get("outs", ()))

    def of(self, path: str) -> Iterator[Lock]:
        """Every record of how `path` was made, as `recorded`."""
        return _of(path, self.locks, lambda: self._entries)


def recorded(root: Path, cache: Cache, path: str) -> Iterator[Lock]:
    """Every record of how `path` was made: in the workspace, in any commit (newest first), in DVC's run cache.

    The run cache remembers what was run and never committed. Commits are read one by one, as they are asked for.
    """
    return _of(path, _locks(root), lambda: _run_cache(cache))


def _of(path: str, locks: Iterable[Lock], remembered: Callable[[], Sequence[Entry]]) -> Iterator[Lock]:
    for lock in locks:
        if path in lock.outs:
            yield lock.behind(path)
    entries = remembered()
    makers = {(out["path"], out.get("md5", "")): entry for entry in entries for out in entry.get("outs", ())}
    for (made, _), entry in reversed(makers.items()):
        if made == path:
            yield _behind(entry, lambda dep, md5: makers.get((dep, md5)) if dep.startswith(_OUTPUTS) else None)


def _locks(root: Path) -> Iterator[Lock]:
    seen: set[str] = set()
    present = root / LOCK
    if present.is_file():
        seen.add(text := present.read_text(encoding="utf-8", errors="replace"))
        yield parse_lock(text, str(present))
    for commit in (_git(root, "log", "--all", "--format=%H", "--", LOCK) or "").split():
        older = _git(root, "show", f"{commit}:./{LOCK}")
        if older is not None and older not in seen:
            seen.add(older)
            yield parse_lock(older, f"{commit[:12]}:{LOCK}")


def _behind(entry: Entry | None, maker: Callable[[str, str], Entry | None]) -> Lock:
    found: dict[int, Entry] = {}
    waiting = [entry]
    while waiting:
        item = waiting.pop()
        if item is not None and id(item) not in found:
            found[id(item)] = item
            waiting += [maker(dep["path"], dep.get("md5", "")) for dep in item.get("deps", ())]
    return Lock(tuple(found.values()))


def _run_cache(cache: Cache) -> Sequence[Entry]:
    """Its entries, the oldest first; damaged ones are skipped, as DVC does."""
    folder = cache.folder.parents[1] / "runs"  # .dvc/cache/runs, of .dvc/cache/files/md5
    entries = []
    files = [file for file in folder.glob("*/*/*") if file.is_file()]
    for file in sorted(files, key=lambda file: file.stat().st_mtime):
        try:
            entry = parse_yaml(file.read_text(encoding="utf-8", errors="replace"))
        except yaml.YAMLError:
            continue
        if isinstance(entry, dict) and "cmd" in entry:
            entries.append(entry)
    return entries


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError:
        return None
    return None if done.returncode else done.stdout
