"""Random kills, each followed by what a person would do next, which has to mend everything by itself."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time

import psutil
import pytest
from chaos import LIMIT, Arena, Late, Row
from chaos_project import STAGES
from mlflow_server import start_mlflow
from prefect_server import ENDED, until
from small_disk import Disk

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]
ROUNDS = int(os.environ.get("CHAOS_ROUNDS") or 30)
SEED = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**6))
os.environ["CHAOS_SEED"] = SEED  # for the table
SHARES = {"stage": 6, "dvc": 4, "run": 6, "promote": 3, "mlflow": 3, "prefect": 3, "worker": 3, "disk": 2}
SCRIPTS = dict(zip(STAGES, ("prepare.py", "register_tiny.py"), strict=True))
DRAWS = 5
SOON = 60.0  # seconds from the start of a worker to the true state of a run that died with the last one


def plan() -> list[str]:
    """The target of each round: shares as above, in random order."""
    rng, targets = random.Random(SEED), []
    while len(targets) < ROUNDS:
        some = [target for target, share in SHARES.items() for _ in range(share)]
        rng.shuffle(some)
        targets += some
    return targets[:ROUNDS]


ROUND = [pytest.param(number, target, id=f"{number:02}-{target}") for number, target in enumerate(plan(), 1)]


@pytest.mark.parametrize(("number", "target"), ROUND)
def test_a_kill_is_mended_by_the_next_ordinary_command(
    number: int, target: str, rows: list[Row], request: pytest.FixtureRequest
) -> None:
    rng, row = random.Random(f"{SEED} {number}"), Row(target)
    rows.append(row)
    for _ in range(DRAWS):
        with contextlib.suppress(Late):
            TARGETS[target](rng, row, request)
            row.ok = True
            return
    pytest.fail(f"{DRAWS} times the {target} was done before it was killed")


def kill(process: subprocess.Popen[bytes] | psutil.Process) -> None:
    """SIGKILL; Late if it has ended."""
    try:
        if isinstance(process, subprocess.Popen) and process.poll() is not None:
            raise Late
        process.kill()
    except psutil.NoSuchProcess:
        raise Late from None


def mend(arena: Arena, row: Row, before: tuple, *command: str) -> None:
    """The next command of a person, and a look at what is left."""
    begun = time.monotonic()
    try:
        arena.done(*command)
    finally:
        row.seconds += time.monotonic() - begun
        row.found = arena.found(before)
    arena.check(outputs=command == ("run",))


def during_run(arena: Arena, rng: random.Random, row: Row, words: tuple[str, ...], wait: float) -> None:
    """Kill a process of a run that has these words, some time after it was first seen; then run again."""
    arena.change()
    before = arena.states()
    run = arena.croft("run")
    found = until(lambda: run.poll() is not None or arena.running(*words), f"a process with {words}", LIMIT)
    if found is True:
        raise Late
    delay = rng.uniform(0, wait)
    time.sleep(delay)
    row.point = f"{delay:.1f} s after its start"
    victims = [process for process in found if process.is_running()]
    if not victims:
        arena.ended(run)
        raise Late
    kill(victims[-1])
    begun = time.monotonic()
    arena.ended(run)
    row.seconds = time.monotonic() - begun
    mend(arena, row, before, "run")


def kill_stage(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena: Arena = request.getfixturevalue("local")
    stage = rng.choice(STAGES)
    during_run(arena, rng, row, ("python", SCRIPTS[stage]), 6.0)
    row.point = f"{stage}, {row.point}"


def kill_dvc(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena: Arena = request.getfixturevalue("local")
    command = rng.choice(["status", "repro", "repro", "repro"])
    during_run(arena, rng, row, ("dvc", command), 2.0 if command == "status" else 8.0)
    row.point = f"dvc {command}, {row.point}"


def kill_run(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena: Arena = request.getfixturevalue("local")
    arena.change()
    before = arena.states()
    at_some_time(arena, rng, row, arena.croft("run"), arena.seconds)
    mend(arena, row, before, "run")


def kill_promote(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena: Arena = request.getfixturevalue("local")
    arena.change()
    arena.done("run")
    before = arena.states()
    at_some_time(arena, rng, row, arena.croft("promote"), 10.0)
    mend(arena, row, before, "promote")


def at_some_time(arena: Arena, rng: random.Random, row: Row, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Kill a command within so many seconds of its start."""
    delay = rng.uniform(0, seconds)
    row.point = f"{delay:.1f} s"
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    kill(process)
    process.wait(10)


def kill_mlflow(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena: Arena = request.getfixturevalue("tracked")
    server = arena.servers[0]
    arena.change()
    before = arena.states()
    run = arena.croft("run")
    wait_in_run(run, rng, row, arena.seconds)
    os.killpg(server.pid, 9)
    server.wait(10)
    begun = time.monotonic()
    arena.ended(run)
    row.seconds = time.monotonic() - begun
    port = int(arena.env["MLFLOW_TRACKING_URI"].rpartition(":")[2])
    arena.servers[0] = start_mlflow(arena.runs.parent, port).process
    mend(arena, row, before, "run")


def kill_prefect(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena, prefect = request.getfixturevalue("scheduled")
    arena.change()
    before = arena.states()
    run = arena.croft("run")
    wait_in_run(run, rng, row, arena.seconds)
    os.killpg(arena.servers[0].pid, 9)
    arena.servers[0].wait(10)
    begun = time.monotonic()
    arena.ended(run)
    row.seconds = time.monotonic() - begun
    prefect.serve()
    arena.servers[0] = prefect.running[-1]
    mend(arena, row, before, "run")


def wait_in_run(run: subprocess.Popen[bytes], rng: random.Random, row: Row, seconds: float) -> None:
    delay = rng.uniform(0, seconds)
    row.point = f"{delay:.1f} s into a run"
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(delay)
        raise Late


def kill_worker(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    """The worker alone, whose flow goes on, or with all that it has started, as where memory runs out."""
    arena, prefect = request.getfixturevalue("scheduled")
    arena.change()
    before = arena.states()
    worker = prefect.croft("worker")
    try:
        run = prefect.start("train/croft")
        until(lambda: prefect.state(run) in ("PENDING", "RUNNING"), "the run to be taken", LIMIT)
        delay, alone = rng.uniform(0, 1.3 * arena.seconds), rng.random() < 0.5
        time.sleep(delay)
        if prefect.state(run) in ENDED:
            raise Late
        row.point = f"{'alone' if alone else 'with its children'}, {delay:.1f} s into a run"
        family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        for process in family[:1] if alone else family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        worker.wait(10)
        begun = time.monotonic()
        worker = prefect.croft("worker")
        limit = LIMIT if alone else SOON
        until(lambda: prefect.state(run) in ENDED, f"the state of the run that is {prefect.state(run)}", limit)
        state = prefect.state(run)
        assert state in (("COMPLETED", "CRASHED") if alone else ("CRASHED",)), state
        if state == "CRASHED":
            until(lambda: not arena.states()[0]["RUNNING"], "MLflow's runs to be ended", SOON)
        again = prefect.start("train/croft")
        until(lambda: prefect.state(again) in ENDED, "the next run", LIMIT)
        row.seconds, row.found = time.monotonic() - begun, arena.found(before)
        assert prefect.state(again) == "COMPLETED", prefect.log.read_text()[-3000:]
    finally:
        end_worker(worker)
    arena.check(outputs=False)


def end_worker(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()  # as Ctrl-C would, it ends by itself
    try:
        worker.wait(60)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait(10)
        raise


def fill_disk(rng: random.Random, row: Row, request: pytest.FixtureRequest) -> None:
    arena, disk = request.getfixturevalue("tight")
    assert isinstance(disk, Disk)
    arena.change()
    before = arena.states()
    run = arena.croft("run")
    left = rng.choice([0, 50_000, 200_000])
    try:
        wait_in_run(run, rng, row, 0.8 * arena.seconds)
        row.point += f", {left // 1000} kB left"
        disk.fill(leave=left)
        status = arena.ended(run)
    finally:
        if (disk.folder / "filler").is_file():
            disk.free()
    if status == 0:
        raise Late
    mend(arena, row, before, "run")


TARGETS = {
    "stage": kill_stage,
    "dvc": kill_dvc,
    "run": kill_run,
    "promote": kill_promote,
    "mlflow": kill_mlflow,
    "prefect": kill_prefect,
    "worker": kill_worker,
    "disk": fill_disk,
}
