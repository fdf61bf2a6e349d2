"""Whatever a process starts ends with it: a reaper outlives it and kills every process that carries its token.

This file is also the reaper's program. It is run by its path, so it imports nothing of this package.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

TOKEN_VARIABLE = "CROFT_RUN_TOKEN"  # noqa: S105 (a name; what it holds marks processes and opens nothing)
_REAP_SECONDS = 30.0

_held: dict[int, int] = {}  # process id: write end of the pipe to its reaper


def guard() -> None:
    """End whatever this process starts from now on when it ends itself, even by SIGKILL.

    Its children inherit a token in their environment; a reaper process holds a pipe to this process and, when that
    closes, kills every process that carries the token. A second call does nothing.
    """
    if os.getpid() in _held:
        return
    token = secrets.token_hex(16)
    read, write = os.pipe()
    try:
        subprocess.Popen(
            # By its file and with a safe path (-P): needs no installation, and no sibling module hides one of Python's.
            [sys.executable, "-P", str(Path(__file__).resolve()), token],
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        ).returncode = 0  # never waited for: it outlives this process
    finally:
        os.close(read)
    _held[os.getpid()] = write
    os.register_at_fork(after_in_child=lambda: os.close(write))  # a forked worker must not hold the pipe open
    outer = os.environ.get(TOKEN_VARIABLE)
    os.environ[TOKEN_VARIABLE] = f"{outer},{token}" if outer else token


def _reap(token: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    until = time.monotonic() + _REAP_SECONDS
    quiet = 0
    while quiet < 2 and time.monotonic() < until:  # twice: a process may have been starting another one
        marked = [process for process in psutil.process_iter() if _carries(process, token)]
        for process in marked:
            with contextlib.suppress(psutil.Error):
                process.kill()
        quiet = 0 if marked else quiet + 1
        time.sleep(0.05)


def _carries(process: psutil.Process, token: str) -> bool:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return token in process.environ().get(TOKEN_VARIABLE, "").split(",")
    except (psutil.Error, OSError):  # another user's process, or one that has just ended
        return False


if __name__ == "__main__":
    _reap(sys.argv[1])
