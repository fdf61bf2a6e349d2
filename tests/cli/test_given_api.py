"""A Prefect server that PREFECT_API_URL names and that is not there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from ports import free_port

Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]


def test_a_prefect_server_that_does_not_answer_is_one_line(project: Project, croft: Croft) -> None:
    root = project({"one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}})
    port = free_port()
    process = croft(root, "run", PREFECT_API_URL=f"http://me:secret@127.0.0.1:{port}/api")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2, out + err
    assert err.startswith(f"error: PREFECT_API_URL: http://127.0.0.1:{port}/api does not answer as a Prefect API (")
    assert err.count("\n") == 1
    assert "secret" not in out + err
    assert "unset PREFECT_API_URL" in err
    assert not (root / "one.txt").exists()
