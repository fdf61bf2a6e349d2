"""A command in a session of its own, its output passed on, and nothing of it left at the end."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import psutil

GRACE_SECONDS = 5.0
KILL_SECONDS = 10.0
_POLL_SECONDS = 0.2


def run_group(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_text: Callable[[str], None] | None = None,
    terminal: bool = False,
    grace: float = GRACE_SECONDS,
) -> int:
    """Run a command in a session of its own and return its exit status; none of its processes is left afterwards.

    An exception that interrupts the wait (Ctrl-C, a SIGTERM handler that raises) ends the session (SIGTERM, `grace`
    seconds, SIGKILL) and propagates. Where SIGTERM has no handler, it raises SystemExit(143) in the meantime.

    Args:
        command: program and arguments.
        env: its environment; this process's by default.
        cwd: its working directory; this process's by default.
        on_text: called with each piece of output (stdout and stderr together) as it comes; pieces end anywhere.
        terminal: give it a pseudo-terminal, so that it draws progress bars.
        grace: seconds between SIGTERM and SIGKILL.
    Returns:
        The exit status; -N when signal N ended it.
    """
    source, sink = _terminal() if terminal else os.pipe()
    with _sigterm_raises():
        try:
            process = subprocess.Popen(
                command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
        except BaseException:
            os.close(source)
            raise
        finally:
            os.close(sink)
        try:
            _relay(source, process, on_text)
            return process.wait()
        finally:
            os.close(source)
            end_session(process, grace=grace)


def end_session(process: subprocess.Popen[bytes], *, grace: float = GRACE_SECONDS) -> None:
    """End a process that leads its own session, and every process in that session or below it."""
    known: set[psutil.Process] = set()
    try:
        _end(process, signal.SIGTERM, grace, known)
    except BaseException:  # a second Ctrl-C: no more patience
        _end(process, signal.SIGKILL, KILL_SECONDS, known)
        raise
    _end(process, signal.SIGKILL, KILL_SECONDS, known)


def _end(process: subprocess.Popen[bytes], number: int, patience: float, known: set[psutil.Process]) -> None:
    until = time.monotonic() + patience
    signalled: set[psutil.Process] = set()
    while True:
        known |= _members(process)  # accumulated: once a parent has died, its child's own session cannot be found
        alive = [member for member in known if running(member)]
        for member in alive:
            if member not in signalled:
                signalled.add(member)
                with contextlib.suppress(psutil.Error):
                    member.send_signal(number)
        process.poll()  # a zombie of ours is reaped here
        if not alive or time.monotonic() > until:
            return
        time.sleep(0.02)


def _members(process: subprocess.Popen[bytes]) -> set[psutil.Process]:
    members = set()
    if process.returncode is None:
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(process.pid)
            members = {leader, *leader.children(recursive=True)}
    for other in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if other.pid and os.getsid(other.pid) == process.pid:
                members.add(other)
    return members


def running(process: psutil.Process) -> bool:
    """Whether a process has not ended; a zombie has."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _relay(source: int, process: subprocess.Popen[bytes], on_text: Callable[[str], None] | None) -> None:
    """Pass output on until the process has ended and its output is read; a background child may keep the pipe open."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        ended = process.poll() is not None
        ready, _, _ = select.select([source], [], [], 0 if ended else _POLL_SECONDS)
        if ready:
            try:
                data = os.read(source, 65536)
            except OSError:  # Linux reports a closed pseudo-terminal as EIO
                data = b""
            if on_text and (text := decoder.decode(data, final=not data)):
                on_text(text)
            if not data:
                return
        elif ended:
            return


def _terminal() -> tuple[int, int]:
    import fcntl
    import pty
    import struct
    import termios

    source, sink = pty.openpty()
    attributes = termios.tcgetattr(sink)
    attributes[1] &= ~termios.OPOST  # the outer terminal turns \n into \r\n already
    termios.tcsetattr(sink, termios.TCSANOW, attributes)
    with contextlib.suppress(OSError):
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
        fcntl.ioctl(sink, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    return source, sink


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield  # whoever handles SIGTERM decides what it means
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
