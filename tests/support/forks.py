"""Hundreds of short processes, a few at a time, beside a look that never rests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_DRIVER = """
import multiprocessing, os, time

{code}

def fork(number):
    run(number)
    os._exit(0)  # at once


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload({preload!r})
    at_work, begun, failed = [], 0, 0
    while begun < {count} or at_work:
        for process in [process for process in at_work if not process.is_alive()]:
            failed += process.exitcode != 0
            at_work.remove(process)
        while begun < {count} and len(at_work) < {at_a_time}:
            process = context.Process(target=fork, args=(begun,))
            process.start()
            at_work.append(process)
            begun += 1
        time.sleep(0.005)
    raise SystemExit(failed)
"""


def beside_forks(
    folder: Path, code: str, look: Callable[[], list[str]], *, count: int, at_a_time: int, preload: Sequence[str]
) -> tuple[list[str], int]:
    """Look again and again while processes come and go; each ends right after its work, when a look can go wrong.

    Args:
        folder: in which they work.
        code: of the function `run(number)`.
        look: gives what it did.
        count: of the processes; each has to end well.
        at_a_time: how many there are at most.
        preload: modules that they share.
    Returns:
        What all looks gave, and how many there were.
    """
    script, log = folder / "forks.py", folder / "log"
    script.write_text(_DRIVER.format(code=code, preload=list(preload), count=count, at_a_time=at_a_time))
    given, looks, deadline = [], 0, time.monotonic() + 500
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, script], cwd=folder, env=environment, stdout=output, stderr=output) as forks,
    ):
        try:
            while forks.poll() is None and time.monotonic() < deadline:
                given += look()
                looks += 1
        finally:
            forks.terminate()  # does nothing to one that has ended
    assert forks.returncode == 0, log.read_text()[-3000:]
    return given, looks
