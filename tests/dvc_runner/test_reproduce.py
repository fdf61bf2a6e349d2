"""The real dvc on small projects: what it did is told apart, failures are named, a kill leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipeline.dvc_runner.reproduce import reproduce
from pipeline.dvc_runner.survey import survey
from pipeline.dvc_runner.tracked import add_and_push
from pipeline.errors import PipelineError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds; only reached when something is broken

Project = Callable[[dict[str, dict[str, object]]], Path]

COUNT = """python -c "open('{out}', 'w').write(open('params.yaml').read()); open('{out}.log', 'a').write('x')" """
CHAIN: dict[str, dict[str, object]] = {
    "one": {"cmd": COUNT.format(out="one.txt"), "params": ["a"], "outs": ["one.txt"]},
    "two": {"cmd": "cp one.txt two.txt", "deps": ["one.txt"], "outs": ["two.txt"]},
}


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_executed_up_to_date_and_restored_are_told_apart(project: Project) -> None:
    root = project(CHAIN)
    before = survey(root)
    assert before.graph.needs == {"one": (), "two": ("one",)}
    assert set(before.changed) == {"one", "two"}

    heard: list[str] = []
    first = reproduce(root, "one", write=heard.append)
    assert (first.stage, first.state) == ("one", "executed")
    assert "Running stage 'one'" in "".join(heard)
    assert "git add" not in "".join(heard)  # DVC's advice after each stage
    assert reproduce(root, "one").state == "up-to-date"

    (root / "params.yaml").write_text("a: 2\n")
    assert reproduce(root, "one").state == "executed"
    (root / "params.yaml").write_text("a: 1\n")
    assert reproduce(root, "one").state == "restored"
    assert (root / "one.txt").read_text() == "a: 1\n"
    assert (root / "one.txt.log").read_text() == "xx"  # the command itself ran twice
    assert set(survey(root).changed) == {"two"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo 'error: no such thing' >&2; exit 3", r"stage 'bad' failed with exit status 3; its output is above"),
        ("true", r"stage 'bad' failed: failed to reproduce 'bad': output 'bad\.txt' does not exist"),
    ],
    ids=["its command fails", "it writes no output"],
)
def test_a_failed_stage_is_named_with_its_exit_status(project: Project, line: str, message: str) -> None:
    root = project({"bad": {"cmd": line, "outs": ["bad.txt"]}})
    heard: list[str] = []
    with pytest.raises(PipelineError, match=message):
        reproduce(root, "bad", write=heard.append)
    assert ("error: no such thing\n" in "".join(heard)) == ("such thing" in line)


def test_a_broken_dvc_yaml_is_one_line_that_names_it(project: Project) -> None:
    root = project({})
    (root / "dvc.yaml").write_text("stages:\n  one: {cmd: 1, colour: red}\n")
    with pytest.raises(PipelineError, match=r"dvc dag: '\./dvc\.yaml' validation failed: 2 errors\. .*line 2"):
        survey(root)


def test_the_stage_sees_the_extra_variables_and_this_interpreter(project: Project) -> None:
    show = """python -c "import os, sys; open('seen.txt', 'w').write(os.environ['CROFT_X'] + sys.prefix)" """
    root = project({"show": {"cmd": show, "outs": ["seen.txt"]}})
    reproduce(root, "show", extra={"CROFT_X": "7"})
    assert (root / "seen.txt").read_text() == "7" + sys.prefix


def test_an_input_is_recorded_when_edited_and_checked_out_when_missing(project: Project) -> None:
    root = project({})
    data = root / "data.txt"
    data.write_text("1")
    assert not add_and_push(root, Path("data.txt"))  # no remote
    data.write_text("2")
    changed = survey(root).changed
    assert list(changed) == ["data.txt.dvc"]
    assert reproduce(root, "data.txt.dvc", changes=changed["data.txt.dvc"]).state == "executed"
    data.unlink()
    assert reproduce(root, "data.txt.dvc", changes="changed outs data.txt deleted").state == "restored"
    assert data.read_text() == "2"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whatever_signal_ends_the_run_nothing_is_left_and_the_next_run_needs_no_help(
    project: Project, number: signal.Signals
) -> None:
    slow = "echo $$ > pid; test -e go || sleep 100; echo done > out.txt"
    root = project({"slow": {"cmd": slow, "outs": ["out.txt"]}})
    code = (
        "from pathlib import Path; from pipeline.dvc_runner.reproduce import reproduce\n"
        "from pipeline.process.reaper import guard\n"
        "guard(); reproduce(Path('.'), 'slow')"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    )
    until(lambda: (root / "pid").is_file() and (root / "pid").read_text().strip())
    shell = psutil.Process(int((root / "pid").read_text()))
    stage = [shell, *shell.children(), *shell.parents()[:1]]  # the shell, its sleep, and dvc
    run.send_signal(number)
    run.wait(PATIENCE)
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in stage))
    (root / "go").touch()
    assert reproduce(root, "slow").state == "executed"
    assert (root / "out.txt").read_text() == "done\n"
