"""Lifetime of processes: a command never outlives the one who started it, however that one ends.

Three nets, because no single one holds: `run_group` ends a command's whole session when this process is interrupted;
`die_with_parent` ends a stage whose `dvc` was killed; `guard` starts a tiny reaper that outlives this process and
ends everything that still carries its token, which is the only net left after SIGKILL.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import secrets
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

TOKEN_VARIABLE = "CROFT_RUN_TOKEN"  # noqa: S105 (a name; what it holds marks processes and opens nothing)
STAGE_VARIABLE = "DVC_STAGE"  # set by DVC for the command of a stage, and for nothing else
GRACE_SECONDS = 5.0
KILL_SECONDS = 10.0
_POLL_SECONDS = 0.2
_REAP_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1


def run_group(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_text: Callable[[str], None] | None = None,
    terminal: bool = False,
    grace: float = GRACE_SECONDS,
) -> int:
    """Run a command in a session of its own and return its exit status; nothing of it is left when this returns.

    An exception that interrupts the wait (Ctrl-C, a SIGTERM handler that raises) ends the session (SIGTERM, `grace`
    seconds, SIGKILL) and goes on. Where SIGTERM has no handler, it is made to raise SystemExit(143) meanwhile.

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
    told: set[psutil.Process] = set()
    while True:
        known |= _members(process)  # kept: below a parent that has died, another session is not found again
        alive = [one for one in known if _running(one)]
        for one in alive:
            if one not in told:
                told.add(one)
                with contextlib.suppress(psutil.Error):
                    one.send_signal(number)
        process.poll()  # a zombie of ours is reaped here
        if not alive or time.monotonic() > until:
            return
        time.sleep(0.02)


def _members(process: subprocess.Popen[bytes]) -> set[psutil.Process]:
    found = set()
    if process.returncode is None:
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(process.pid)
            found = {leader, *leader.children(recursive=True)}
    for other in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if other.pid and os.getsid(other.pid) == process.pid:
                found.add(other)
    return found


def _running(process: psutil.Process) -> bool:
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


def die_with_parent() -> None:
    """End this process when the `dvc` that runs it as a stage has died; call it before any slow import.

    Does nothing when no DVC runs this process (a stage started by hand, also under nohup or as a container's first
    process), and watches nobody above DVC: `nohup dvc repro` may lose its shell.
    """
    chain = _up_to_dvc()
    if not chain:
        return
    if sys.platform == "linux":
        # The kernel's own signal also reaches a stage whose interpreter is busy in native code.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != chain[0].pid:  # it died before the kernel was asked
        _end_self()
    threading.Thread(target=_watch, args=(chain,), name="die-with-parent", daemon=True).start()


def end_with(parent: int) -> None:
    """End this process, a helper of its parent's, when the parent has died in any way.

    Args:
        parent: process id of the one that started this process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def watch() -> None:  # also where the kernel has no such signal, and had the parent died before it was asked
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

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
    """Whether DVC died before this process could look, so that init (or whoever adopts) is the parent now.

    DVC shares its session with what it starts, unless the child has opened a session of its own.
    """
    with contextlib.suppress(OSError):
        return os.getsid(child) not in (child, os.getsid(parent))
    return False


def _watch(chain: list[psutil.Process]) -> None:
    descriptors = []
    try:
        for process in chain:
            descriptors.append(os.pidfd_open(process.pid))  # type: ignore[attr-defined,unused-ignore]
    except ProcessLookupError:
        _end_self()
    except (AttributeError, OSError):  # not Linux, an old kernel, or a sandbox: look now and then
        while all(_running(process) for process in chain):
            time.sleep(_POLL_SECONDS)
        _end_self()
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    if all(_running(process) for process in chain):
        poll.poll()
    _end_self()


def _end_self() -> None:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    os.kill(os.getpid(), signal.SIGKILL)


_held: dict[int, int] = {}  # process id: write end of the pipe to its reaper


def guard() -> None:
    """From now on, whatever this process starts is ended when it ends, even by SIGKILL.

    Its children inherit a token in their environment; a reaper process holds a pipe to this one and, when that
    closes, kills every process that carries the token. Calling it again does nothing.
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
        found = [process for process in psutil.process_iter() if _carries(process, token)]
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        quiet = 0 if found else quiet + 1
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
