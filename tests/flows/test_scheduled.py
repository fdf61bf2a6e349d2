"""From a new version of the data to a new champion, while a person edits the tree: real server, worker, git and dvc."""

from __future__ import annotations

import contextlib
import json
import socketserver
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pictures import git, write_pictures
from prefect_server import Prefect, prefect, until  # noqa: F401
from scheduled import commit_all, make_scheduled, tree
from small_worlds import world  # noqa: F401

from pipeline.origin import CHECKOUTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]


class Receiver(socketserver.ThreadingTCPServer):
    """Keeps the body of each POST."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Keep)
        self.bodies: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class Keep(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append({"type": self.headers["Content-Type"], **json.loads(body)})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def aliases(root: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(root / ".croft" / "mlflow.db")) as database:
        rows = database.execute("SELECT alias, version FROM registered_model_aliases").fetchall()
    return {alias: str(version) for alias, version in rows}


def dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def branches(root: Path) -> list[str]:
    return git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads/croft/runs").split()


def test_new_data_is_trained_on_gated_and_promoted_while_a_person_edits_the_tree(
    prefect: Prefect,  # noqa: F811
    receiver: Receiver,
    tmp_path: Path,
    world,  # noqa: F811
) -> None:
    root = prefect.project = make_scheduled(tmp_path / "a project", world)
    dvc(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    prefect.serve()
    prefect.done("data", "add", "../first", "--name", "mine")
    commit_all(root, "version 1 of the data")
    said = prefect.done(
        *("deploy", "--cron", "0 3 * * 1", "--timezone", "Europe/Zurich", "--policy", "auto", "--on-data"),
        *("--notify", receiver.url),
    )
    assert "train/croft" in said
    assert "mine@latest; promotion: auto" in said
    prefect.croft("worker")
    first = prefect.start("train/croft")
    assert prefect.end(first) == "COMPLETED"
    assert aliases(root) == {"challenger": "1", "champion": "1"}
    assert list((root / CHECKOUTS).iterdir()) == []
    (made,) = branches(root)

    # A person is in the middle of an edit that could not even run, and adds images.
    (root / "export_tiny.py").write_text("half an edit (")
    (root / "params.yaml").write_text((root / "params.yaml").read_text() + "# a thought\n")
    (root / "notes.txt").write_text("untracked")
    git(root, "add", "params.yaml")
    write_pictures(tmp_path / "second", {"photo/dog/2.png": 3})
    prefect.done("data", "add", "../second", "--name", "mine")
    before = tree(root)
    until(lambda: len(prefect.runs("train")) == 2, "the run that new data starts")
    second = prefect.runs("train")[-1]["id"]
    assert prefect.end(second) == "COMPLETED"
    assert aliases(root) == {"challenger": "2", "champion": "2"}
    assert tree(root) == before
    assert not (root / "artifacts").exists()

    last = next(name for name in branches(root) if name != made)
    assert git(root, "diff", "--name-only", "main", last).split() == [
        "data/mine.dvc", "data/mine.versions.yaml", "dvc.lock"
    ]  # fmt: skip
    # Somebody elsewhere gets all of it by git and the remote.
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "-b", last, str(root), str(clone))
    dvc(clone, "pull", "-q")
    assert json.loads((clone / "artifacts/export/card.json").read_text())["seen"] == ["1.png", "1.png", "2.png"]
    assert json.loads((clone / "artifacts/registration.json").read_text())["version"] == "2"

    until(lambda: len(receiver.bodies) >= 2, "both notifications")
    assert [body["event"] for body in receiver.bodies] == ["croft.version.promoted"] * 2
    assert [body["payload"]["version"] for body in receiver.bodies] == ["1", "2"]
    assert receiver.bodies[1]["type"] == "application/json"
    assert receiver.bodies[1]["payload"]["sentence"] == "croft version 2 is champion (before: version 1)"
