"""Undo what a killed DVC leaves behind, so that nobody has to remove a lock by hand."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import psutil

_REUSED_SECONDS = 2.0  # a process younger than the lock by more than this has only inherited the number


def clear_stale_locks(root: Path, *, look: bool = False) -> bool:
    """Repair DVC's file of path locks: drop it when a kill cut it short, and entries of processes that are gone.

    DVC drops entries of dead processes itself, but not of those that nobody has waited for yet (a container's first
    process may never do so) or whose number was given to another program since, and it refuses a damaged file. A file
    that another DVC is editing right now is left alone.

    Args:
        root: the project.
        look: change nothing.
    Returns:
        Whether anything was changed, or would be.
    """
    import fcntl

    path = root / ".dvc" / "tmp" / "rwlock"
    if not path.is_file():
        return False
    with path.with_name("rwlock.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # what DVC takes to edit the file
        except OSError:
            return False
        try:
            written = path.stat().st_mtime
            content = json.loads(path.read_text(encoding="utf-8"))
            kept = _live(content, written)
        except (ValueError, TypeError, KeyError, AttributeError):
            if not look:
                path.unlink(missing_ok=True)
            return True
        if kept == content or look:
            return bool(kept != content)
        path.write_text(json.dumps(kept), encoding="utf-8")
        return True


def _live(content: dict[str, Any], written: float) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for mode, paths in content.items():
        if mode == "write":
            live: dict[str, Any] = {path: info for path, info in paths.items() if _holds(info, written)}
        else:
            live = {path: [info for info in infos if _holds(info, written)] for path, infos in paths.items()}
            live = {path: infos for path, infos in live.items() if infos}
        if live or not paths:
            kept[mode] = live
    return kept


def _holds(info: dict[str, Any], written: float) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(info["pid"]))
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written + _REUSED_SECONDS)
    return False
