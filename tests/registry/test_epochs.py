"""The journal under many hands at once, under kills, and under hands that know nothing of it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow_server import mlflow_server
from ports import free_port
from promoters import NAME, add_versions, check_chain, forked, promote_passing, run_killed, run_promote

from pipeline.errors import GateError
from pipeline.registry.doctor import examine
from pipeline.registry.epochs import INTENT, epoch_name
from pipeline.registry.history import history
from pipeline.registry.journal import Entry, champions
from pipeline.registry.promotion import rollback
from pipeline.registry.versions import CHAMPION, aliased
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def moves(entries: tuple[Entry, ...]) -> list[tuple[str, str, str]]:
    return [(entry.action, entry.before, entry.after) for entry in entries]


def test_threads_that_promote_at_once_each_get_an_epoch(root: Path) -> None:
    add_versions(root, 8)
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda n: promote_passing(str(n), root), range(1, 9)))
    assert all(verdict.promoted for verdict in verdicts)
    entries = check_chain(root, 8)
    assert {entry.after for entry in entries} == {str(n) for n in range(1, 9)}
    assert {entry.after: entry.before for entry in entries} == {v.version: v.champion for v in verdicts}


def test_other_hands_are_recorded_and_a_rollback_passes_what_was_rolled_back_from(root: Path) -> None:
    client = add_versions(root, 4)
    client.set_registered_model_alias(NAME, CHAMPION, "4")  # before any journal
    assert [f.mendable for f in examine(NAME, root=root)] == [True]
    promote_passing("1", root)
    promote_passing("2", root)
    client.set_registered_model_alias(NAME, CHAMPION, "3")
    (finding,) = examine(NAME, root=root)
    assert "other hands moved it" in finding.sentence
    assert not finding.mended
    assert examine(NAME, mend=True, root=root)[0].mended
    assert examine(NAME, root=root) == []
    assert [rollback(NAME) for _ in range(3)] == [("3", "2"), ("2", "1"), ("1", "4")]
    with pytest.raises(GateError, match="no earlier champion"):
        rollback(NAME)
    assert rollback(NAME, to="2") == ("4", "2")
    with pytest.raises(GateError, match="version 2 is the champion already"):
        rollback(NAME, to="2")
    client.delete_registered_model_alias(NAME, CHAMPION)
    assert moves(check_chain(root))[:4] == [
        ("foreign", "", "4"),
        ("promote", "4", "1"),
        ("promote", "1", "2"),
        ("foreign", "2", "3"),
    ]
    assert moves(check_chain(root))[-1] == ("foreign", "2", "")


def test_old_journals_go_on(root: Path) -> None:
    client = add_versions(root, 3)
    for entry in (Entry("2026-01-01T00:00:00+00:00", "promote", "", "1"),
                  Entry("2026-01-02T00:00:00+00:00", "promote", "1", "2")):  # fmt: skip
        client.set_registered_model_tag(NAME, entry.key, entry.to_json())
    client.set_registered_model_alias(NAME, CHAMPION, "2")
    promote_passing("3", root)
    assert [(e.epoch, e.before, e.after) for e in history(NAME)] == [(0, "", "1"), (0, "1", "2"), (1, "2", "3")]
    assert [rollback(NAME), rollback(NAME)] == [("3", "2"), ("2", "1")]


def test_a_dry_run_changes_nothing(root: Path) -> None:
    client = add_versions(root, 1)
    verdict = promote_passing("1", root, dry_run=True)
    assert (verdict.passed, verdict.promoted) == (True, False)
    assert "gate.verdict" not in client.get_model_version(NAME, "1").tags
    assert history(NAME) == ()


def test_what_holds_no_entry_is_passed_over_and_shown(root: Path) -> None:
    client = add_versions(root, 1)
    client.create_experiment(epoch_name(NAME, 1), tags={INTENT: "{}"})
    (lost,) = (root / ".croft").rglob("model/MLmodel")
    lost.unlink()
    promote_passing("1", root)
    assert [entry.epoch for entry in history(NAME)] == [2]
    sentences = [finding.sentence for finding in examine(NAME, mend=True, root=root)]
    assert sentences[0].endswith("croft-journal/croft/000001 holds no entry of the journal; rename it")
    assert f"no files in {lost.parent}" in sentences[1]


def kill_at_random(root: Path, count: int, seed: int) -> Counter[str]:
    """Kill promotions and rollbacks at random writes; the next command must leave a true journal. Returns the kills."""
    draw, context, killed = random.Random(seed), forked(), Counter[str]()
    add_versions(root, 4)
    for _ in range(count):
        champion = aliased(connect(root), NAME, CHAMPION)
        back = len(champions(history(NAME, root=root), champion)) > 1 and draw.random() < 0.4
        version = "" if back else draw.choice([v for v in "1234" if v != champion])
        call, after = draw.randint(1, 3 if back else 6), draw.random() < 0.5
        process = context.Process(target=run_killed, args=(str(root), version, call, after))
        process.start()
        process.join(120)
        assert process.exitcode in (0, -9)
        killed["rollback" if back else "promote"] += process.exitcode == -9
        entries = check_chain(root)
        assert all(entry.action != "foreign" for entry in entries)
        for entry in entries:
            if entry.action == "promote":
                assert json.loads(connect(root).get_model_version(NAME, entry.after).tags["gate.verdict"])["passed"]
    return killed


def test_kills_leave_a_true_journal(root: Path) -> None:
    assert kill_at_random(root, 10, seed=0).total() > 5


@pytest.mark.slow
def test_two_hundred_kills_leave_a_true_journal(root: Path) -> None:
    killed = Counter[str]()
    for kill_round in range(20):
        folder = root / str(kill_round)
        folder.mkdir()
        killed += kill_at_random(folder, 20, seed=100 + kill_round)
        if killed.total() >= 200:
            break
    assert killed.total() >= 200
    assert killed["rollback"] > 20


def race(root: Path, count: int = 20) -> None:
    """Real processes that promote a version each, at once."""
    add_versions(root, count)
    context = forked()
    results = context.Queue()
    uri = os.environ.get(URI_VARIABLE, "")
    processes = [
        context.Process(target=run_promote, args=(str(root), uri, str(n), results)) for n in range(1, count + 1)
    ]
    for process in processes:
        process.start()
    promoted = dict(results.get(timeout=300) for _ in processes)
    for process in processes:
        process.join(60)
    assert all(promoted.values())
    assert {entry.after for entry in check_chain(root, count)} == set(promoted)


@pytest.mark.slow
def test_twenty_promoters_on_sqlite(root: Path) -> None:
    race(root)


@pytest.mark.slow
def test_twenty_promoters_through_a_server(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mlflow_server(root / "server") as server:
        monkeypatch.setenv(URI_VARIABLE, f"http://{server.host}")
        race(root)
        started = time.monotonic()
        rollback(NAME)
        assert time.monotonic() - started < 5.0


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: postgresql)")
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver psycopg2 is not installed")
    account: dict[str, object] = {}
    folder.mkdir()
    if os.getuid() == 0:  # the server refuses to run as root
        for parent in (folder, *folder.parents):
            if parent.stat().st_mode & 0o001 == 0:  # pytest's folders are for their owner alone
                parent.chmod(0o755)
        shutil.chown(folder, "postgres", "postgres")
        account = {"user": "postgres", "group": "postgres"}
    port = free_port()
    store = str(folder / "db")

    def call(name: str, *arguments: str) -> None:
        subprocess.run(
            [str(programs[-1] / name), *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL, **account
        )  # type: ignore[call-overload]

    call("initdb", "-D", store, "-U", "croft", "-A", "trust", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    call("pg_ctl", "-D", store, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://croft@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", store, "-m", "immediate", "stop")


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_promoters_on_postgresql(count: int, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres(root / "pg") as uri:
        monkeypatch.setenv(URI_VARIABLE, uri)
        race(root, count)
