"""Real processes, real signals: nothing that a run starts outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.process.group import run_group
from pipeline.process.parent import STAGE_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds; only reached when something is broken

SCRIPTS = {
    "sleeper.py": "import time; time.sleep(120)",
    "stubborn.py": """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("up", flush=True)
        time.sleep(120)""",
    "starter.py": """
        import os, subprocess, sys  # starts its arguments in a session of its own and waits for them or not
        started = subprocess.Popen([sys.executable, *sys.argv[2:]], start_new_session=True)
        if sys.argv[1] == "wait":
            started.wait()""",
    "caller.py": """
        import sys
        from pipeline.process.group import run_group
        run_group(sys.argv[1:])""",
    "run.py": """
        import subprocess, sys
        from pipeline.process.reaper import guard
        guard()
        guard()
        subprocess.run([sys.executable, *sys.argv[1:]])""",
    "dvc.py": """
        import os, subprocess, sys  # like DVC: the variable is the command's, not its own
        subprocess.run(["sh", "-c", sys.argv[1]], env={**os.environ, "DVC_STAGE": "one"})""",
    "shell.py": """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, *sys.argv[1:]])
        time.sleep(120)""",
    "stage.py": """
        import time
        from pathlib import Path
        from pipeline.process.parent import die_with_parent
        die_with_parent()
        Path(__file__).with_name("ready").touch()
        time.sleep(120)""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Scripts to run; whatever of them is left after the test is ended."""
    for name, code in SCRIPTS.items():
        (tmp_path / name).write_text("\n".join(line.removeprefix(" " * 8) for line in code.splitlines()))
    yield tmp_path
    for left in alive(tmp_path):
        with contextlib.suppress(psutil.Error):  # it may end with the one before
            left.kill()


def alive(script: Path) -> list[psutil.Process]:
    """The processes in whose command line the path (or folder) occurs."""
    found = []
    for one in psutil.process_iter():
        try:
            other = one.pid != os.getpid() and one.status() != psutil.STATUS_ZOMBIE
            if other and str(script) in " ".join(one.cmdline()):
                found.append(one)
        except psutil.Error:
            continue
    return found


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def launch(*command: str | Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != STAGE_VARIABLE}
    return subprocess.Popen(
        [sys.executable, *map(str, command)], env={**environment, "PYTHONPATH": str(ROOT)}, start_new_session=True
    )


def python(*code: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(code)]


def test_output_comes_in_order_as_it_is_written_and_the_status_is_the_command_s() -> None:
    pieces: list[tuple[float, str]] = []
    code = ["import sys, time", "print('a', flush=True)", "time.sleep(0.5)", "sys.stderr.write('10%\\r20%\\r')"]
    status = run_group(
        python(*code, "sys.stderr.flush()", "print('é')", "sys.exit(7)"),
        on_text=lambda text: pieces.append((time.monotonic(), text)),
    )
    assert status == 7
    assert "".join(text for _, text in pieces) == "a\n10%\r20%\ré\n"
    assert pieces[-1][0] - pieces[0][0] > 0.3  # 0.5 s lie between the two in the child: nothing is held back


def test_a_character_cut_in_two_by_a_read_is_put_together_again() -> None:
    heard: list[str] = []
    code = ["import os, time", "os.write(1, b'\\xc3')", "time.sleep(0.3)", "os.write(1, b'\\xa9\\xff')"]
    assert run_group(python(*code), on_text=heard.append) == 0
    assert "".join(heard) == "é\N{REPLACEMENT CHARACTER}"  # the byte ff is in no UTF-8 text


def test_the_child_sees_a_terminal_only_when_asked() -> None:
    asks = python("import sys", "print(sys.stdout.isatty(), sys.stdin.isatty())")
    heard: list[str] = []
    run_group(asks, on_text=heard.append)
    run_group(asks, on_text=heard.append, terminal=True)
    assert "".join(heard).split() == ["False", "False", "True", "False"]


def test_the_status_of_a_signalled_command_is_its_negative_number() -> None:
    assert run_group(python("import os", "os.kill(os.getpid(), 9)")) == -9


def test_what_the_command_left_in_the_background_is_ended(folder: Path) -> None:
    script = f"{sys.executable} {folder / 'sleeper.py'} & exit 3"
    heard: list[str] = []
    assert run_group(["sh", "-c", script], on_text=heard.append) == 3  # the orphan holds the pipe for 120 s
    assert alive(folder) == []


def test_an_exception_in_the_wait_ends_even_another_session_that_ignores_sigterm(folder: Path) -> None:
    def stop(_: str) -> None:
        raise KeyboardInterrupt

    command = [sys.executable, str(folder / "starter.py"), "wait", str(folder / "stubborn.py")]
    with pytest.raises(KeyboardInterrupt):
        run_group(command, on_text=stop, grace=0.3)
    assert alive(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_caller_ends_the_command(folder: Path, number: signal.Signals) -> None:
    caller = launch(folder / "caller.py", "sh", "-c", f"{sys.executable} {folder / 'sleeper.py'}; true")
    until(lambda: len(alive(folder / "sleeper.py")) == 3)  # the caller, the shell and its child
    caller.send_signal(number)
    # SystemExit(128 + 15) for SIGTERM; Python ends itself by SIGINT after an uncaught KeyboardInterrupt.
    assert caller.wait(PATIENCE) == (143 if number == signal.SIGTERM else -signal.SIGINT)
    assert alive(folder) == []


def test_in_a_thread_no_signal_handler_is_touched() -> None:
    before = signal.getsignal(signal.SIGTERM)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(run_group(python("pass"))))
    thread.start()
    thread.join(PATIENCE)
    assert results == [0]
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_reaper_ends_what_a_killed_run_started_and_nothing_else(folder: Path) -> None:
    bystander = launch(folder / "stubborn.py")
    # The run starts a child that starts a grandchild in another session: only the token ties that to the run.
    run = launch(folder / "run.py", folder / "starter.py", "wait", folder / "sleeper.py")
    until(lambda: len(alive(folder / "sleeper.py")) == 3)
    run.kill()
    run.wait(PATIENCE)
    until(lambda: not alive(folder / "sleeper.py"))
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait(PATIENCE)


def test_the_reaper_leaves_too_when_the_run_ends(folder: Path) -> None:
    reapers = set(alive(ROOT / "pipeline" / "process" / "reaper.py"))
    run = launch(folder / "run.py", folder / "starter.py", "leave", folder / "sleeper.py")
    assert run.wait(PATIENCE) == 0
    until(lambda: not alive(folder) and set(alive(ROOT / "pipeline" / "process" / "reaper.py")) <= reapers)


@pytest.mark.parametrize("rest", ["", "; true"], ids=["the shell becomes the stage", "a shell in between"])
def test_a_stage_dies_with_its_dvc(folder: Path, rest: str) -> None:
    dvc = launch(folder / "dvc.py", f"{sys.executable} {folder / 'stage.py'}{rest}")
    until((folder / "ready").exists)
    dvc.kill()
    dvc.wait(PATIENCE)
    until(lambda: not alive(folder / "stage.py"))


def test_a_stage_whose_dvc_is_dead_before_it_looks_dies_too(folder: Path) -> None:
    dvc = launch(folder / "dvc.py", f"sleep 0.5; exec {sys.executable} {folder / 'stage.py'}")
    until(lambda: len(alive(folder / "stage.py")) == 2)  # "dvc" and the shell that sleeps
    dvc.kill()
    dvc.wait(PATIENCE)
    until(lambda: not alive(folder / "stage.py"))
    assert not (folder / "ready").exists()


def test_a_stage_lives_on_when_only_the_shell_above_dvc_dies(folder: Path) -> None:
    shell = launch(folder / "shell.py", folder / "dvc.py", f"{sys.executable} {folder / 'stage.py'}; true")
    until((folder / "ready").exists)
    shell.kill()
    shell.wait(PATIENCE)
    time.sleep(1.0)
    assert len(alive(folder / "stage.py")) == 3  # "dvc", its shell and the stage


def test_a_stage_started_by_hand_outlives_its_starter(folder: Path) -> None:
    starter = launch(folder / "starter.py", "leave", folder / "stage.py")  # as nohup does
    assert starter.wait(PATIENCE) == 0
    until((folder / "ready").exists)
    time.sleep(0.5)
    assert len(alive(folder / "stage.py")) == 1
