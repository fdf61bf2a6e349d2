"""A Prefect server that PREFECT_API_URL names and that is not there."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]


def test_a_prefect_server_that_does_not_answer_is_one_line(project: Project, croft: Croft) -> None:
    root = project({"one": {"cmd": "echo 1 > one.txt", "outs": ["one.txt"]}})
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]  # nobody listens once it is closed
    process = croft(root, "run", PREFECT_API_URL=f"http://me:secret@127.0.0.1:{port}/api")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2, out + err
    assert err.startswith(f"error: PREFECT_API_URL: http://127.0.0.1:{port}/api does not answer as a Prefect API (")
    assert err.count("\n") == 1
    assert "secret" not in out + err
    assert "unset PREFECT_API_URL" in err
    assert not (root / "one.txt").exists()
