"""Where a run comes from: workspace, commit, machine and process; git and the process table, no tracking."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT_VARIABLE = "DVC_ROOT"  # set by DVC for the command of a stage; in an experiment's folder, the workspace above it
EXPERIMENTS = Path(".dvc") / "tmp" / "exps"
CHECKOUTS = Path(".croft") / "checkouts"
REPRODUCTIONS = Path(".croft") / "reproductions"
"""Checkouts here are worked in for themselves: they have a tracking store and embeddings that go with them."""
WORKSPACE_FILE = Path(".croft") / "workspace"
"""In a checkout: the path of the project that it was made for."""
_SAME_START_SECONDS = 2.0  # a process's creation time has a coarse resolution


def workspace(root: Path) -> Path:
    """The project that `root` works for, absolute: that of an experiment, that of a checkout, else `root` itself.

    `dvc exp run --queue` and `--temp` run in a copy of the project below EXPERIMENTS, and scheduled runs in a clone
    below CHECKOUTS; both are deleted afterwards. What has to outlive them belongs in this folder.
    """
    root = root.resolve()
    candidates = [folder.parent for folder in reversed(root.parents) if folder.name in (".dvc", ".croft")]
    if named := os.environ.get(ROOT_VARIABLE):  # the only way to the workspace where its .dvc/tmp is a link
        candidates.append(Path(named).resolve())
    if (file := root / WORKSPACE_FILE).is_file():  # the same for a .croft that is a link
        candidates.append(Path(file.read_text(encoding="utf-8").strip()).resolve())
    # A variable that was inherited from another project, or a file that was copied, names no folder above root.
    below = (EXPERIMENTS, CHECKOUTS)
    return next((c for c in candidates if any(root.is_relative_to((c / place).resolve()) for place in below)), root)


def git_state(root: Path) -> tuple[str, str]:
    """The commit ("" outside a repository) and whether tracked files differ from it ("true" or "false").

    dvc.lock does not count: the run itself rewrites it.
    """
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude,glob)**/dvc.lock")
    return commit, "true" if changed else "false"


def main_worktree(root: Path) -> Path | None:
    """The same project in git's main worktree, if root lies in another one made by `git worktree`."""
    found = _git(root, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", "--show-prefix")
    own, common, prefix, *_ = [*found.split("\n"), "", ""]
    return Path(common).parent / prefix if own != common and common else None


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def process_tags() -> dict[str, str]:
    """Tags that identify this process, even after its process id has been reused."""
    import psutil

    started = psutil.Process().create_time()
    return {
        "croft.host": socket.gethostname(),
        "croft.pid": str(os.getpid()),
        "croft.process_started": f"{started:.2f}",
    }


def alive(pid: str, started: str) -> bool:
    """Whether the process that `process_tags` described still runs; the machine must be the same.

    One that has ended and that nobody has waited for, as below a container's first process, does not.
    """
    import psutil

    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < _SAME_START_SECONDS
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.AccessDenied:
        return True


def ended_here(tags: Mapping[str, object]) -> bool:
    """Whether the process that left these tags ran on this machine and is gone; False where its machine is another."""
    if tags.get("croft.host") != socket.gethostname():
        return False
    return not alive(str(tags.get("croft.pid", "")), str(tags.get("croft.process_started", "")))
