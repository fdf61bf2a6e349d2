"""A process that ends when its parent has died: a stage with its `dvc`, a helper with the process that it helps."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import psutil

from pipeline.process.group import running

STAGE_VARIABLE = "DVC_STAGE"  # set by DVC for the command of a stage, and for nothing else
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """End this process when the `dvc` that runs it as a stage has died; call it before any slow import.

    Does nothing when no DVC runs this process (a stage started by hand, under nohup, or as a container's first
    process). Processes above DVC are not watched: `nohup dvc repro` may lose its shell.
    """
    chain = _up_to_dvc()
    if chain:
        _end_unless(lambda: os.getppid() == chain[0].pid and all(running(process) for process in chain))


def end_with(parent: int) -> None:
    """End this process when its parent has died, in whatever way.

    Args:
        parent: process id of the parent.
    """
    _end_unless(lambda: os.getppid() == parent)


def _end_unless(alive: Callable[[], bool]) -> None:
    """End this process once `alive` is false, or its parent has died."""
    if sys.platform == "linux":
        # The kernel's own signal also reaches a process whose interpreter is busy in native code.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if not alive():  # the parent died before the signal was set
        _end_self()

    def watch() -> None:
        while alive():
            time.sleep(_POLL_SECONDS)
        _end_self()

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def _up_to_dvc() -> list[psutil.Process]:
    """The ancestors from this process's parent (perhaps a shell) to the DVC that runs the stage; [] without one."""
    stage = os.environ.get(STAGE_VARIABLE)
    chain: list[psutil.Process] = []
    if stage is None:
        return chain
    below = psutil.Process()
    above = below.parent()
    while above is not None:
        chain.append(above)
        try:
            try:
                within = above.environ().get(STAGE_VARIABLE) == stage  # DVC sets it for its children, not for itself
            except psutil.AccessDenied:  # init's, for example
                within = False
            if not within:
                if _adopted(below.pid, above.pid):
                    _end_self()
                return chain
            below, above = above, above.parent()
        except psutil.NoSuchProcess:
            _end_self()
    return []


def _adopted(child: int, parent: int) -> bool:
    """Whether DVC died before this process could look, so that init (or another adopter) is the parent now.

    DVC shares its session with what it starts, unless the child has opened a session of its own.
    """
    with contextlib.suppress(OSError):
        return os.getsid(child) not in (child, os.getsid(parent))
    return False


def _end_self() -> None:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    os.kill(os.getpid(), signal.SIGKILL)
