"""`croft deploy`, `croft worker` and the runs that they make, with a real server, worker, git and dvc."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
from pictures import git, write_pictures
from prefect_server import ENDED, PATIENCE, Prefect, Receiver, prefect, receiver, until  # noqa: F401
from scheduled import commit_all, make_scheduled, tree
from small_worlds import world  # noqa: F401

from pipeline.flows.parts import PARTS
from pipeline.origin import CHECKOUTS
from pipeline.registry.history import history
from pipeline.tracking.client import URI_VARIABLE, connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


@pytest.fixture
def served(prefect: Prefect, tmp_path: Path, world, monkeypatch: pytest.MonkeyPatch) -> Prefect:  # noqa: F811
    """A server, and a project with a committed version 1 of its data."""
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    root = prefect.project = make_scheduled(tmp_path / "project", world)
    prefect.serve()
    prefect.done("data", "add", "../first", "--name", "mine")
    commit_all(root, "version 1 of the data")
    return prefect


def planned(prefect: Prefect, deployment: str) -> list[datetime]:  # noqa: F811
    """When the runs are due that the server has planned for a deployment."""
    runs = prefect.call("flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [deployment]}}})
    return [datetime.fromisoformat(run["expected_start_time"]) for run in runs if run["auto_scheduled"]]


def refused(prefect: Prefect, *arguments: str) -> str:  # noqa: F811
    """What a command of ours says that has to fail."""
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    done = subprocess.run(
        command, cwd=prefect.project, env=prefect.environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


def test_deploy_can_be_repeated_and_a_run_that_fails_says_why(
    served: Prefect,
    receiver: Receiver,  # noqa: F811
) -> None:
    assert "--cron 'often'" in refused(served, "deploy", "--cron", "often")
    assert "no revision 'nowhere' here" in refused(served, "deploy", "--revision", "nowhere")
    assert "--data mine=0: expected NAME=latest or NAME=NUMBER" in refused(served, "deploy", "--data", "mine=0")
    assert "--notify: expected a URL" in refused(served, "deploy", "--notify", "ftp://example.org")

    for _ in range(2):
        served.done("deploy", "--cron", "0 3 * * 1", "--timezone", "Europe/Zurich", "--on-data", "--policy", "never")
    deployed = {
        f"{flow['name']}/{one['name']}": one
        for one in served.call("deployments/filter", {})
        for flow in [served.call(f"flows/{one['flow_id']}")]
    }
    assert set(deployed) == {f"{name}/croft" for name in ("train", "version-data", "promote", *PARTS)}
    train = deployed["train/croft"]
    (schedule,) = train["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == ("0 3 * * 1", "Europe/Zurich")
    # The server itself plans the runs of a schedule; a worker only takes them when they are due.
    due = until(lambda: planned(served, train["id"]), "the runs that the schedule plans")
    local = [at.astimezone(ZoneInfo("Europe/Zurich")) for at in due]
    assert {(at.weekday(), at.hour, at.minute) for at in local} == {(0, 3, 0)}
    assert len(served.call("automations/filter", {})) == 1
    form = train["parameter_openapi_schema"]["properties"]
    assert form["policy"]["enum"] == ["first", "auto", "ask", "never"]
    assert form["retries"] == form["retries"] | {"minimum": 0, "maximum": 10}
    assert train["parameters"]["data"] == {"mine": "latest"}
    assert deployed["version-data/croft"]["parameter_openapi_schema"]["required"] == ["path", "name"]

    served.done("deploy")
    train = served.call("deployments/name/train/croft")
    assert (train["schedules"], train["parameters"]["policy"]) == ([], "ask")
    assert served.call("automations/filter", {}) == []

    # Two failures: a checkout that cannot be made, and a stage, whose checkout is kept.
    served.done("deploy", "--notify", receiver.url)
    served.croft("worker")
    run = served.start("train/croft", revision="gone", data={})
    until(lambda: served.state(run) in ENDED, "the run")
    state = served.call(f"flow_runs/{run}")["state"]
    sentence = f"{served.project}: no revision 'gone' here; expected a branch, a tag or a commit"
    assert (state["type"], state["message"]) == ("FAILED", sentence)
    (served.project / "export_tiny.py").write_text("raise SystemExit(7)")
    commit_all(served.project, "a stage that fails")
    run = served.start("train/croft", retries=0)
    until(lambda: served.state(run) in ENDED, "the run")
    assert served.state(run) == "FAILED"
    (kept,) = [path for path in (served.project / CHECKOUTS).iterdir() if path.is_dir()]
    assert f"the checkout is kept: {kept}" in served.log.read_text()
    until(lambda: len(receiver.bodies) == 2, "both notifications")
    assert [(body["event"], body["payload"]["sentence"]) for body in receiver.bodies] == [
        ("croft.version.failed", sentence),
        ("croft.version.failed", "train failed: stage 'export' failed with exit status 7; its output is above"),
    ]


def kill_family(worker: subprocess.Popen[bytes]) -> None:
    """End a worker and all that it has started, as the machine's memory killer or a container's end would."""
    for process in [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def test_a_run_whose_worker_is_killed_right_after_it_took_the_run_is_ended_by_the_next(served: Prefect) -> None:
    served.done("deploy", "--policy", "never")
    worker = served.croft("worker")
    run = served.start("train/croft")
    until(lambda: served.call(f"flow_runs/{run}")["state_name"] == "Submitting", "the run to be taken")
    kill_family(worker)
    taken = served.call(f"flow_runs/{run}")
    assert (taken["state_name"], taken["labels"].get("croft.pid")) == ("Submitting", None)
    served.croft("worker")
    until(lambda: served.state(run) in ENDED, "the dead run")
    assert served.state(run) == "CRASHED"
    assert f"flow run {taken['name']} (train) is marked as crashed: its process {worker.pid} is gone" in (
        served.log.read_text()
    )


def test_cancelling_ends_the_stage_and_what_a_killed_worker_leaves_is_ended_by_the_next(
    served: Prefect, tmp_path: Path
) -> None:
    root, hold = served.project, tmp_path / "hold"
    served.environment["CROFT_TEST_HOLD"] = str(hold)
    hold.touch()
    pid = hold.with_suffix(".pid")
    served.done("deploy", "--policy", "auto")
    worker = served.croft("worker")

    def held(flow: str) -> tuple[str, psutil.Process]:
        """A run whose stage is being held, and that stage's process."""
        pid.unlink(missing_ok=True)
        run = served.start(f"{flow}/croft")
        until(lambda: pid.is_file() and pid.read_text(), "the stage")
        return run, psutil.Process(int(pid.read_text()))

    cancelled, stage = held("train")
    family = [stage, *stage.parents()[:2]]  # and the shell and dvc
    served.call(f"flow_runs/{cancelled}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    until(lambda: served.state(cancelled) in ENDED, "the cancelled run")
    assert served.state(cancelled) == "CANCELLED"
    until(lambda: not any(map(is_running, family)), "its processes to end")

    killed, stage = held("train")
    kill_family(worker)
    until(lambda: not is_running(stage), "its stage to end")
    assert served.state(killed) == "RUNNING"
    hold.unlink()
    name = served.call(f"flow_runs/{killed}")["name"]
    served.croft("worker")
    until(lambda: served.state(killed) in ENDED, "the dead run")
    assert served.state(killed) == "CRASHED"
    said = served.log.read_text()
    assert re.search(rf"flow run {name} \(train, started .*\) is marked as crashed: its process \d+ is gone", said)

    third = served.start("train/croft")
    assert served.end(third) == "COMPLETED"
    tasks = served.call("task_runs/filter", {"flow_runs": {"id": {"any_": [third]}}})
    assert [task["name"] for task in sorted(tasks, key=lambda task: task["start_time"])] == [
        "inputs", "export", "register", "publish", "gate"
    ]  # fmt: skip
    assert champion(root) == "1"
    with contextlib.closing(sqlite3.connect(root / ".croft" / "mlflow.db")) as database:
        rows = database.execute("SELECT status FROM runs WHERE name = 'train' ORDER BY start_time").fetchall()
    assert rows == [("KILLED",), ("KILLED",), ("FINISHED",)]
    # The cancelled run's is kept for a look, the killed one's is not.
    (kept,) = [path for path in (root / CHECKOUTS).iterdir() if path.is_dir()]
    assert f"the checkout is kept: {kept}" in served.log.read_text()


def test_a_person_approves_or_refuses_and_silence_holds(served: Prefect, tmp_path: Path) -> None:
    root = served.project
    served.done("deploy", "--policy", "ask", "--hours", "1")
    worker = served.croft("worker")

    def asked(deployment: str, **parameters: object) -> str:
        run = served.start(deployment, **parameters)
        until(lambda: served.state(run) in ("PAUSED", *ENDED), "the question")
        assert served.state(run) == "PAUSED", served.log.read_text()[-3000:]
        return run

    def answer(run: str, **values: object) -> None:
        until(
            lambda: served.call(f"flow_runs/{run}/resume", {"run_input": values})["status"] == "ACCEPT", "the answer"
        )  # the form is stored a moment after the pause

    run = asked("train/croft")
    answer(run, approve=True, reason="looks good")
    assert served.end(run) == "COMPLETED"
    (entry,) = history("croft", root=root)
    name = served.call(f"flow_runs/{run}")["name"]
    assert (entry.after, entry.forced, entry.reason) == ("1", False, f"approved in flow run {name}: looks good")

    write_pictures(tmp_path / "second", {"photo/dog/2.png": 3})
    served.done("data", "add", "../second", "--name", "mine")
    before = tree(root)
    run = asked("train/croft")
    shown = until(lambda: texts(served, run), "the verdict in the form")
    assert any("croft version 2** passes the gate" in text for text in shown)
    answer(run, approve=False, reason="not on a Friday")
    assert served.end(run) == "COMPLETED"
    assert champion(root) == "1"
    assert "version 2 is held: refused by a person: not on a Friday" in served.log.read_text()
    assert verdicts(root)["2"] == "true"  # that it passed stays on the version

    again = served.start("train/croft")  # nothing is new: the question is not asked again
    assert served.end(again) == "COMPLETED"
    assert "version 2 is held: this gate has judged it before" in served.log.read_text()

    # The checkout is of main, which has other results; the version's are on the branch of its run.
    assert len(git(root, "for-each-ref", "refs/heads/croft/runs").splitlines()) == 2
    silent = served.start("promote/croft", version="2", hours=0.001)
    assert served.end(silent) == "COMPLETED"
    assert champion(root) == "1"
    assert "version 2 is held: nobody answered within 0.001 hours" in served.log.read_text()

    waiting = asked("promote/croft", version="2")
    kill_family(worker)
    served.croft("worker")
    until(lambda: served.state(waiting) in ENDED, "the run whose process was killed while it waited")
    assert (served.state(waiting), champion(root)) == ("CRASHED", "1")

    promoted = served.start("promote/croft", version="2", policy="auto")
    assert served.end(promoted) == "COMPLETED"
    assert champion(root) == "2"

    part = served.start("export/croft")
    assert served.end(part) == "COMPLETED"
    assert tree(root) == before
    assert list((root / CHECKOUTS).iterdir()) == []


def texts(prefect: Prefect, run: str) -> list[str]:  # noqa: F811
    """What stands above the form of a paused run."""
    kept = prefect.call(f"flow_runs/{run}/input/filter", {"prefix": "paused-", "limit": 20})
    return [one["value"] for one in kept if one["key"].endswith("-description")]


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def champion(root: Path) -> str:
    return str(connect(root).get_model_version_by_alias("croft", "champion").version)


def verdicts(root: Path) -> dict[str, str]:
    """Whether each version passed its last gate."""
    versions: list[Any] = connect(root).search_model_versions("name = 'croft'")
    return {str(version.version): version.tags.get("gate.passed", "") for version in versions}
