"""A place to kill things in: a project, the commands of a person, and what must be true when they are done."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from chaos_project import NUMBER, number_of, set_number
from prefect_server import until
from promoters import NAME, check_chain

from pipeline.dvc_runner.locks import clear_stale_locks
from pipeline.process.group import end_session

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "CROFT_CHAOS"
LIMIT = 240.0  # seconds that a command may take; an undisturbed run takes about 20
QUIET = 30.0  # seconds after which nothing of a killed run may live
OPEN = ("RUNNING", "PENDING", "PAUSED", "CANCELLING", "SCHEDULED")


class Late(Exception):  # noqa: N818 (no error: the draw is repeated)
    """The target was done before its time to be killed."""


@dataclass
class Row:
    """What became of one round; seconds from the kill to the end of the next ordinary command."""

    target: str
    point: str = ""
    seconds: float = 0.0
    found: str = ""
    ok: bool = False


@dataclass
class Arena:
    """A project and its surroundings.

    Attributes:
        root: the project.
        env: of its commands; a token in it marks everything that they start.
        runs: MLflow's database.
        flows: Prefect's database.
        seconds: that an undisturbed run takes.
        number: what the project was changed to last.
        log: what the commands print.
        servers: that outlive a round.
    """

    root: Path
    env: dict[str, str]
    runs: Path
    flows: Path
    seconds: float = 0.0
    number: int = 0
    log: Path = Path(os.devnull)
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command in the project; its output goes to a log beside it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def croft(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self.start(sys.executable, "-m", "pipeline.cli", *arguments)

    def done(self, *arguments: str) -> float:
        """Run a command of ours that has to succeed; the seconds that it took."""
        begun, before = time.monotonic(), self.log.stat().st_size if self.log.is_file() else 0
        status = self.ended(self.croft(*arguments))
        assert status == 0, f"croft {' '.join(arguments)}: exit status {status}\n{self.said(before)[-3000:]}"
        return time.monotonic() - begun

    def ended(self, process: subprocess.Popen[bytes]) -> int:
        """The exit status of a command that has to end by itself."""
        try:
            return process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            end_session(process)
            process.wait(10)
            pytest.fail(f"{process.args} did not end within {LIMIT:.0f} s\n{self.said(0)[-3000:]}")

    def said(self, since: int) -> str:
        return self.log.read_text(errors="replace")[since:]

    def change(self) -> None:
        """Something to do for every stage."""
        self.number = int((self.root / NUMBER).read_text()) + 1  # the arena of a server has the same project
        set_number(self.root, self.number)

    def processes(self) -> Iterator[psutil.Process]:
        """What the commands have started and is alive; no server."""
        servers = {process.pid for server in self.servers for process in _family(server.pid)}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if (
                    process.pid not in servers
                    and process.status() != psutil.STATUS_ZOMBIE
                    and process.environ().get(TOKEN) == self.env[TOKEN]
                ):
                    yield process

    def running(self, *words: str) -> list[psutil.Process]:
        """Those whose command line has all these words."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if set(words) <= set(process.cmdline()):
                    found.append(process)
        return found

    def states(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """How many MLflow runs, flow runs and task runs are in each state."""
        return (
            _count(self.runs, "SELECT status FROM runs"),
            _count(self.flows, "SELECT state_type FROM flow_run WHERE NOT auto_scheduled"),
            _count(self.flows, "SELECT state_type FROM task_run"),
        )

    def found(self, before: tuple[Counter[str], Counter[str], Counter[str]]) -> str:
        """The states that are new since, those of undisturbed runs left out."""
        names = ("MLflow", "Prefect", "tasks")
        new = [now - old for now, old in zip(self.states(), before, strict=True)]
        parts = [
            f"{name} {', '.join(f'{state} {count}' for state, count in sorted(some.items()))}"
            for name, states in zip(names, new, strict=True)
            if (some := {s: n for s, n in states.items() if s not in ("FINISHED", "COMPLETED")})
        ]
        return "; ".join(parts) or "nothing to mend"

    def check(self, *, outputs: bool = True) -> None:
        """Nothing is open, locked, alive or untrue.

        Args:
            outputs: those in the project's folder are up to date too.
        """
        until(lambda: not list(self.processes()), f"the end of {list(self.processes())}", QUIET)
        runs, flows, tasks = self.states()
        assert not {state: runs[state] for state in ("RUNNING", "SCHEDULED") if runs[state]}, runs
        assert not {state: flows[state] for state in OPEN if flows[state]}, flows
        assert not {state: tasks[state] for state in OPEN if tasks[state]}, tasks
        assert not clear_stale_locks(self.root, look=True)
        self.check_journal()
        if outputs:
            assert number_of(self.root) == self.number

    def check_journal(self) -> None:
        """The journal tells every move of the alias, no version lacks its files, and the store holds no half model."""
        from pipeline.registry.doctor import examine
        from pipeline.tracking.client import URI_VARIABLE

        with pytest.MonkeyPatch.context() as patch:
            patch.delenv(URI_VARIABLE, raising=False)
            if uri := self.env.get(URI_VARIABLE):
                patch.setenv(URI_VARIABLE, uri)
            assert examine(NAME, root=self.root) == []
            assert check_chain(self.root)

    def end(self) -> None:
        """End what is still alive."""
        for process in [*self.processes()]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def environment(**more: str) -> dict[str, str]:
    """For the commands of an arena; the token is new."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT", "PREFECT"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), TOKEN: secrets.token_hex(8), **more}


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _count(database: Path, query: str) -> Counter[str]:
    if not database.is_file():
        return Counter()
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30.0)) as connection:
        try:
            return Counter(str(state) for (state,) in connection.execute(query))
        except sqlite3.OperationalError as error:  # killed before its tables were made
            if "no such table" not in str(error):
                raise
            return Counter()
