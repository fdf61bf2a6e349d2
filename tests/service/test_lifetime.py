"""How a server starts, follows the champion, logs and stops."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from ports import free_port
from service import BLACK, RED, ROOT, Service, png, service, text

from pipeline.registry.register import register_model
from pipeline.registry.versions import CHAMPION, open_registry
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE
from pipeline.tracking.runs import PARENT_VARIABLE, stage_run

METRICS = {"croft": {"mean": {"accuracy": 0.8, "auroc": 0.7}}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    return root


def register(root: Path, folder: Path) -> str:
    with stage_run("register", started=time.time(), params={}, out=None, root=root) as run:
        return register_model(folder, name="croft", run_id=run.run_id, tags={}, metrics=METRICS, root=root)


def make_champion(root: Path, version: str) -> None:
    client, _ = open_registry(root)
    client.set_registered_model_alias("croft", CHAMPION, version)


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def test_the_champion_is_followed_and_a_version_that_fails_is_not_served(
    project: Path, write_tiny_model: Callable[..., Path]
) -> None:
    first = register(project, write_tiny_model(project / "first"))
    second = register(project, write_tiny_model(project / "second", classes=("a", "b", "c")))
    broken = register(project, write_tiny_model(project / "third", threshold=0.0))
    make_champion(project, first)
    with service("champion", project, "--poll", "0.2") as running, running.client() as client:
        assert "croft version 1 (champion) on cpu" in running.line

        def answer() -> tuple[str, str]:
            done = client.post("/predict", json={"images": [text(RED)]})
            assert done.headers["x-croft-version"] == done.json()["version"]
            return done.json()["version"], done.json()["predictions"][0]["class"]

        assert answer() == ("1", "red")
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as slow:
            head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(RED)}\r\n\r\n"
            slow.sendall(head.encode() + RED[:20])
            time.sleep(0.5)
            make_champion(project, second)
            wait_for(lambda: answer()[0] == "2")
            assert answer() == ("2", "a")
            slow.sendall(RED[20:])  # it began with version 1, which must still be there
            received = b""
            while b'"error": null' not in received:
                received += slow.recv(65536)
            assert b'"version": "1"' in received
        assert client.get("/v2/models/croft/versions/1").status_code == 404
        for graph in (project / ".croft").rglob("model.onnx"):
            if "third" in graph.parts or graph.read_bytes() == (project / "third" / "model.onnx").read_bytes():
                graph.write_bytes(b"no graph")
        make_champion(project, broken)
        wait_for(lambda: running.metric("croft_model_load_failures_total") >= 2)
        assert answer() == ("2", "a")
        assert "not a usable ONNX graph" in client.get("/model").json()["trouble"]
        assert running.errors.read_text().count("still serving version 2") == 1
        make_champion(project, second)
        wait_for(lambda: client.get("/model").json()["trouble"] is None)
        assert running.metric("croft_model_swaps_total") == 1
        assert running.stop() == 0


@pytest.mark.slow
def test_twenty_swaps_under_sixteen_clients_fail_no_request(
    project: Path, write_tiny_model: Callable[..., Path]
) -> None:
    for name in ("first", "second"):
        classes = (name, "green", "blue")
        make_champion(project, register(project, write_tiny_model(project / name, classes=classes)))
    expected = {"1": "first", "2": "second"}
    with service("champion", project, "--poll", "0.1") as running:
        over = threading.Event()

        def ask(_: int) -> tuple[int, set[str]]:
            count, versions = 0, set[str]()
            with running.client() as client:
                while not over.is_set():
                    done = client.post("/predict", json={"images": [text(RED)] * 2})
                    assert done.status_code == 200
                    version = done.json()["version"]
                    assert [one["class"] for one in done.json()["predictions"]] == [expected[version]] * 2
                    count += 1
                    versions.add(version)
            return count, versions

        with ThreadPoolExecutor(16) as pool:
            clients = [pool.submit(ask, number) for number in range(16)]
            try:
                for swap in range(1, 21):
                    make_champion(project, "1" if swap % 2 else "2")
                    wait_for(lambda swap=swap: running.metric("croft_model_swaps_total") >= swap)  # type: ignore[misc]
            finally:
                over.set()
            done = [client.result() for client in clients]
        assert all(versions == {"1", "2"} for _, versions in done)
        assert running.metric("croft_model_swaps_total") == 20
        assert sum(count for count, _ in done) > 100


def test_it_is_alive_while_it_loads_and_ready_only_after_an_inference(
    project: Path, write_tiny_model: Callable[..., Path]
) -> None:
    make_champion(project, register(project, write_tiny_model(project / "first")))
    port = free_port()
    seen: list[tuple[int, int, str]] = []

    def watch() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not seen or seen[-1][1] != 200:
                try:
                    alive = client.get("/healthz").status_code
                    ready = client.get("/readyz")
                    seen.append((alive, ready.status_code, ready.headers.get("retry-after", "")))
                except httpx.TransportError:
                    time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with service("champion", project, port=port):
        watcher.join(60)
    assert seen[0] == (200, 503, "5")  # importing MLflow takes seconds
    assert seen[-1][:2] == (200, 200)


def test_sigterm_finishes_what_is_in_flight_and_writes_the_log(tiny: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with service(tiny, tmp_path, "--log-to", str(log)) as running:
        large = png((0, 51, 255), (5000, 5000))  # decoding takes a while

        def send(_: int) -> httpx.Response:
            with running.client() as client:
                return client.post("/predict", content=large, headers={"Content-Type": "image/png"})

        with running.client() as client:
            client.post("/predict", json={"images": [text(RED), "x", text(BLACK)]})
            with ThreadPoolExecutor(4) as pool:
                sent = [pool.submit(send, number) for number in range(4)]
                wait_for(lambda: running.metric("croft_queue_images") >= 3)
                assert running.stop() == 0
                answers = [one.result() for one in sent]
        assert [one.json()["predictions"][0]["label"] for one in answers] == ["blue"] * 4
    assert all(file.name.endswith(".parquet") and not file.name.startswith(".") for file in log.iterdir())
    rows = pq.read_table(log).to_pylist()
    assert sorted((row["row"], row["label"], row["class"], row["unknown"]) for row in rows if not row["error"]) == [
        (0, "blue", "blue", False),
    ] * 4 + [(0, "red", "red", False), (2, "unknown", "red", True)]
    bad = next(row for row in rows if row["error"])
    assert (bad["row"], bad["label"], bad["score"]) == (1, None, None)
    assert {(row["model"], row["embedding"]) for row in rows} == {("croft", None)}
    assert {row["request"] for row in rows} >= {one.headers["x-request-id"] for one in answers}
    assert all(0 < row["latency"] < 60 and row["time"].year >= 2024 for row in rows)
    assert all("image" not in name for name in rows[0])


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.cli", "serve", "--port", "0", *options]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def test_what_cannot_be_served_is_one_line_and_status_2(
    tiny: Path, tmp_path: Path, write_tiny_model: Callable[..., Path], running: Service
) -> None:
    without_card = write_tiny_model(tmp_path / "without_card")
    (without_card / "card.json").unlink()
    (tmp_path / "empty").write_text(" \n")
    for options, message in [
        (["--model", str(without_card)], "card.json: no such file"),
        (["--model", str(tmp_path)], "expected a version number, an alias, a folder with model.onnx"),
        (["--model", str(tiny), "--device", "cuda"], "device: cuda was requested"),
        (["--model", str(tiny), "--port", str(running.port)], "choose another address"),
        (["--model", str(tiny), "--queue", "0"], "--queue: expected a number of at least 1, found 0"),
        (["--model", str(tiny), "--token-file", str(tmp_path / "empty")], "visible ASCII"),
        (["--model", str(tiny), "--token-file", str(tmp_path / "none")], "cannot be read: No such file"),
        (["--model", str(tiny), "--log-to", "/proc/log"], "--log-to: /proc/log: "),
        (["--model", str(tiny), "--log-to", str(tmp_path / "empty")], "--log-to: "),
    ]:
        done = run(tmp_path, *options)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert message in done.stderr
