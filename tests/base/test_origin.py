"""Whether the process that left its tags is still at work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from prefect_server import until

from pipeline.origin import alive, ended_here, process_tags


@pytest.fixture
def other() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """A process, and the tags that it would leave."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        found = psutil.Process(process.pid)
        tags = {"croft.pid": str(process.pid), "croft.process_started": f"{found.create_time():.2f}"}
        yield found, process_tags() | tags
        process.kill()


def test_a_process_is_told_from_a_later_one_with_its_number(other: tuple[psutil.Process, dict[str, str]]) -> None:
    process, tags = other
    started = float(tags["croft.process_started"])
    assert alive(tags["croft.pid"], f"{started:.2f}")
    assert not alive(tags["croft.pid"], f"{started - 60:.2f}")
    assert not ended_here(tags)
    assert not ended_here(tags | {"croft.host": "another", "croft.process_started": "0"})
    assert process.is_running()


def test_a_process_that_ended_and_that_nobody_waited_for_is_gone(
    other: tuple[psutil.Process, dict[str, str]],
) -> None:
    process, tags = other
    process.kill()
    until(lambda: process.status() == psutil.STATUS_ZOMBIE, "its end", 10.0)
    assert ended_here(tags)


@pytest.mark.parametrize("pid", ["", "none", "0.5"])
def test_tags_of_no_process_are_of_none_that_lives(pid: str) -> None:
    assert not alive(pid, "1.0")
