"""SIGKILL at a moment of one's choice, and nothing of the killed command alive afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from clone import Clone
from prefect_server import until


def kill_when(clone: Clone, command: Sequence[str], moment: Callable[[str], bool], delay: float = 0.0) -> str:
    """Start a command in a clone and kill its first process.

    Args:
        clone: where it works; no process may be left there.
        command: is still running when it is killed.
        moment: whether the time has come, by what the command has printed.
        delay: seconds from there to the kill.
    Returns:
        What the command printed.
    """
    log = clone.folder.parent / f"{clone.folder.name}.log"
    with log.open("w") as file:
        run = subprocess.Popen(command, cwd=clone.folder, env=clone.env, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 240
        while not moment(log.read_text()):
            assert run.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        time.sleep(delay)
        assert run.poll() is None, f"it was over before it was killed:\n{log.read_text()[-2000:]}"
    finally:
        if run.poll() is None:
            os.kill(run.pid, signal.SIGKILL)
        run.wait(timeout=10)
    until(lambda: not clone.processes(), "the end of what it had started", 15)
    return log.read_text()
