"""A real disk of a few megabytes, to fill or to lock."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A tmpfs of its own, mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leave: int = 0) -> None:
        """Write a file `filler` that takes all but `leave` bytes; `free` removes it."""
        space = os.statvfs(self.folder)
        with (self.folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for _ in range(max(0, space.f_bavail * space.f_frsize - leave) // 4096):
                file.write(bytes(4096))

    def free(self) -> None:
        (self.folder / "filler").unlink()

    def lock(self) -> None:
        """Make it read-only."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True, capture_output=True)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount it, or skip the test where this user may not."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {getattr(error, 'stderr', '') or error}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)
