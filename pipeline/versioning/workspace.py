"""A data set's folder is replaced as a whole: a kill leaves the old state or the new one, never a mix of both."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.dvc_runner.cache import clone
from pipeline.errors import DataError, PipelineError
from pipeline.versioning.names import FOLDER


class Workspace:
    """A data set's folder, the one beside it in which its next state is built, and a lock.

    The two lie on one file system, so that the change is two renames. Git and DVC ignore `data/.adding-*`.
    """

    def __init__(self, root: Path, name: str) -> None:
        data = root / FOLDER
        self.folder = data / name
        self.next = data / f".adding-{name}"
        self._old = data / f".adding-{name}.old"
        self._lock = root / ".croft" / f"adding-{name}.lock"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes away while the block runs; what a killed one left behind is repaired first.

        Raises:
            PipelineError: another process is adding to this data set.
        """
        import fcntl

        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it, however a process ends
            except OSError:
                raise PipelineError(
                    f"{self.folder}: another `croft data` command is using it; wait until it has ended"
                ) from None
            self.repair()
            try:
                yield
            finally:
                shutil.rmtree(self.next, ignore_errors=True)

    def repair(self) -> None:
        """Undo what a kill left: a half-built next state goes, a folder that was moved aside comes back."""
        if self._old.exists() and not self.folder.exists():
            self._old.rename(self.folder)
        for leftover in (self._old, self.next):
            shutil.rmtree(leftover, ignore_errors=True)

    def begin(self) -> None:
        """Make the empty folder of the next state."""
        self.next.mkdir()

    def keep(self, path: str) -> None:
        """Take a file of the present state into the next one: the same file by a second name, which costs no bytes."""
        target = self.next / path
        target.parent.mkdir(parents=True, exist_ok=True)
        source = self.folder / path
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:  # a file system without hard links
            shutil.copy2(source, target, follow_symlinks=False)

    def swap(self) -> None:
        """Make the next state the present one."""
        if self.folder.exists():
            self.folder.rename(self._old)
        self.next.rename(self.folder)
        shutil.rmtree(self._old, ignore_errors=True)


class Placer:
    """Writes a new image into the next state: by its bytes, or without them where `link` asks for that.

    Linked means cloned (Btrfs, XFS, APFS), otherwise a hard link: it lasts until `dvc add`, which puts a copy of its
    own in its place, so that nothing in the workspace leads out of it. Where DVC itself works with hard links it would
    take the user's own file into its cache, write-protected; there, and across file systems, the bytes are written.
    """

    def __init__(self, *, link: bool, cache_link: str) -> None:
        self._ways: dict[str, Callable[[Path, Path], None]] = {"clone": clone} if link else {}
        if link and cache_link != "hardlink":
            self._ways["hard link"] = os.link
        self.used: set[str] = set()

    def put(self, target: Path, content: bytes, file: Path | None) -> None:
        """Write one image; a file that is linked holds `content`, since it was read from it just now."""
        target.parent.mkdir(parents=True, exist_ok=True)
        for way, place in self._ways.items():
            if file is None:
                break
            with contextlib.suppress(OSError):
                place(file, target)
                self.used.add(way)
                return
            target.unlink(missing_ok=True)
        target.write_bytes(content)
        self.used.add("copy")


def can_clone(source: Path, target: Path) -> bool:
    """Whether files can be cloned from one folder into another."""
    try:
        with (
            tempfile.TemporaryDirectory(dir=target, prefix=".croft-") as scratch,
            tempfile.NamedTemporaryFile(dir=source, prefix=".croft-") as probe,
        ):
            probe.write(b"\0" * 4096)
            probe.flush()
            clone(Path(probe.name), Path(scratch) / "clone")
    except OSError:
        return False
    return True


def check_space(needs: list[tuple[Path, int]]) -> None:
    """Refuse what does not fit.

    Args:
        needs: (folder, bytes that will be written below it); folders of one file system share its space.
    Raises:
        DataError: names the folder, what is needed and what is free.
    """
    devices: dict[int, tuple[Path, int]] = {}
    for folder, size in needs:
        while not folder.exists():
            folder = folder.parent
        device = folder.stat().st_dev
        first, before = devices.get(device, (folder, 0))
        devices[device] = (first, before + size)
    for folder, size in devices.values():
        free = shutil.disk_usage(folder).free
        if size > free:
            raise DataError(
                f"{folder}: {human(size)} needed for workspace and DVC's cache, {human(free)} free; free some space, "
                "or move the cache to another disk with `dvc cache dir`"
            )


def human(size: float) -> str:
    """`14.2 MB`: powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
