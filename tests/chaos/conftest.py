"""The places of the rounds, and the table of what became of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos import Arena, Row, environment
from chaos_project import make_chaos
from mlflow_server import start_mlflow
from pictures import commit
from ports import free_port
from prefect_server import Prefect
from small_disk import Disk, small_disk
from small_worlds import world  # noqa: F401

from pipeline.process.group import end_session

_ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []


@pytest.fixture
def rows(pytestconfig: pytest.Config) -> Iterator[list[Row]]:
    """Those of the rounds before; that of a round is printed at once, too, so that a stopped session has its table."""
    rows = pytestconfig.stash[_ROWS]
    yield rows
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print(f"\n{_line(len(rows), rows[-1])}", flush=True)


def _line(number: int, row: Row) -> str:
    ok = "yes" if row.ok else "NO"
    return f"| {number} | {row.target} | {row.point} | {row.seconds:.0f} | {row.found} | {ok} |"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, [])
    if not rows:
        return
    table = ["| round | target | killed at | seconds to recovery | state found | ok |", "|---|---|---|---|---|---|"]
    table += [_line(number, row) for number, row in enumerate(rows, 1)]
    recovered = sum(row.ok for row in rows)
    seed = os.environ.get("CHAOS_SEED", "")
    terminalreporter.section(f"chaos, seed {seed}: {recovered} of {len(rows)} recovered")
    terminalreporter.write("\n".join(table) + "\n")
    if file := os.environ.get("CHAOS_RESULTS"):
        Path(file).write_text("\n".join(table) + "\n")


def _settle(arena: Arena) -> Arena:
    """With data, a first champion, and the time of an undisturbed run."""
    arena.done("data", "add", str(arena.root.parent / "first"), "--name", "mine")
    commit(arena.root, "data")
    arena.done("run")
    arena.change()
    arena.seconds = arena.done("run")
    arena.check()
    return arena


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, world: object) -> Iterator[Arena]:  # noqa: F811
    """All on this machine, as after `make run`."""
    root = make_chaos(tmp_path_factory.mktemp("local") / "project", world)
    arena = Arena(
        root, environment(), root / ".croft/mlflow.db", root / ".croft/prefect/prefect.db", log=root.parent / "log"
    )
    yield _settle(arena)
    arena.end()


@pytest.fixture(scope="session")
def tight(tmp_path_factory: pytest.TempPathFactory, world: object) -> Iterator[tuple[Arena, Disk]]:  # noqa: F811
    """The same on a disk of its own that can be filled."""
    with small_disk(tmp_path_factory.mktemp("tight") / "disk", 400) as disk:
        root = make_chaos(disk.folder / "project", world)
        arena = Arena(
            root,
            environment(),
            root / ".croft/mlflow.db",
            root / ".croft/prefect/prefect.db",
            log=root.parents[1] / "log",
        )
        yield _settle(arena), disk
        arena.end()


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory, world: object) -> Iterator[Arena]:  # noqa: F811
    """With an MLflow server; the first of `servers`."""
    folder = tmp_path_factory.mktemp("tracked")
    root = make_chaos(folder / "project", world)
    (folder / "server").mkdir()
    server = start_mlflow(folder / "server", free_port())
    env = environment(MLFLOW_TRACKING_URI=f"http://{server.host}")
    arena = Arena(root, env, folder / "server" / "server.db", root / ".croft/prefect/prefect.db", log=folder / "log")
    arena.servers.append(server.process)
    yield _settle(arena)
    arena.end()
    for process in arena.servers:
        end_session(process)
        process.wait(10)


@pytest.fixture(scope="session")
def scheduled(local: Arena, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Arena, Prefect]]:
    """The local project with a Prefect server, to which it is deployed; the server is the first of `servers`."""
    folder = tmp_path_factory.mktemp("scheduled")
    prefect = Prefect(folder)
    prefect.project = local.root
    prefect.environment |= environment()
    prefect.serve()
    arena = Arena(
        local.root,
        prefect.environment,
        local.runs,
        folder / "prefect" / "prefect.db",
        local.seconds,
        log=folder / "log",
    )
    arena.servers.append(prefect.running[0])
    prefect.done("deploy", "--policy", "auto")
    yield arena, prefect
    arena.end()
    for process in reversed(prefect.running):
        end_session(process)
        process.wait(10)
