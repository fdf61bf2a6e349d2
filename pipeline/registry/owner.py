"""The process behind a claim: whether it still works on it."""

from __future__ import annotations

import contextlib
import getpass
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import gethostname

from pipeline.origin import alive, process_tags

LEASE_SECONDS = 60.0
"""How long a claim of a process that cannot be looked at, or that stands still, is left to it."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_working: set[str] = set()  # tokens of claims that threads of this process work on


@dataclass(frozen=True)
class Owner:
    """A process and one of its claims.

    Attributes:
        token: drawn for the claim.
        host, boot, pid, started: of the process; boot is the id that the kernel drew at start, "" if unknown.
    """

    token: str
    host: str = ""
    boot: str = ""
    pid: str = ""
    started: str = ""


def new_owner() -> Owner:
    """This process, with a token for a new claim."""
    tags = process_tags()
    return Owner(uuid.uuid4().hex, tags["croft.host"], _boot(), tags["croft.pid"], tags["croft.process_started"])


def who() -> str:
    """The person at work, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        user = "unknown"
    return f"{user}@{gethostname()}"


@contextlib.contextmanager
def at_work(owner: Owner) -> Iterator[None]:
    """Marks a claim as worked on for as long as the block runs."""
    _working.add(owner.token)
    try:
        yield
    finally:
        _working.discard(owner.token)


def is_gone(owner: Owner) -> bool:
    """Whether the owner ended on this machine, so that it will never touch its claim again."""
    mine = process_tags()
    if owner.host != mine["croft.host"] or owner.boot != _boot():
        return False  # another machine; or this one before it was started again, and then the lease decides
    if owner.pid == mine["croft.pid"] and owner.started == mine["croft.process_started"]:
        return owner.token not in _working
    return not alive(owner.pid, owner.started)


def lease_left(claimed: str) -> float:
    """Seconds until anyone may finish a claim; clocks of machines may differ, since nothing but patience rests on it.

    Args:
        claimed: when, UTC in ISO 8601.
    """
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(claimed)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(LEASE_SECONDS - age, 0.0), LEASE_SECONDS)


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
