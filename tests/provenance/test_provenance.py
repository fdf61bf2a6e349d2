"""Lineage both ways, runs and reproduction, on versions that real git, DVC and MLflow have made."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import pytest
from traced_project import Traced

from pipeline.tracking.client import URI_VARIABLE, connect
from pipeline.tracking.parents import close_parent, open_parent

pytestmark = [pytest.mark.xdist_group("dvc"), pytest.mark.slow]
CATS = [f"{domain}/cat/{domain}{number}.png" for domain in ("ink", "oil") for number in range(4)]
YAKS = ["ink/yak/ink0.png", "oil/yak/oil0.png"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """Version 1 of mine@1, committed; 2 with another knob, never committed; 3 of mine@2, committed; 4 of a queued
    experiment with yet another knob. The data set copy has the bytes of mine@1; apart has others, which nothing read.
    """
    project = Traced(tmp_path_factory.mktemp("traced") / "project")
    project.make()
    project.images("mine", *CATS, *YAKS)
    project.images("copy", *CATS, *YAKS)
    project.images("apart", "ink/cat/apart0.png")
    project.commit("code and data")
    project.run("dvc", "repro", "-q")
    project.commit("first results")
    project.knob(5.0)
    project.run("dvc", "repro", "-q")
    project.run("git", "checkout", "-q", "--", "params.yaml", "dvc.lock")
    project.run("dvc", "checkout", "-q")
    project.images("mine", "ink/cat/new9.png")
    project.commit("more data")
    project.run("dvc", "repro", "-q")
    project.commit("second results")
    project.run("dvc", "exp", "run", "-q", "--queue", "--name", "queued", "-S", "finetune.lambda_1=7.0")
    project.run("dvc", "exp", "run", "-q", "--run-all")
    client = connect(project.root)
    client.set_registered_model_alias("croft", "champion", "1")
    return project


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URI_VARIABLE, raising=False)


def test_a_version_leads_down_to_data_environment_and_commit(project: Traced) -> None:
    facts = project.read("lineage")
    assert (facts["version"], facts["aliases"]) == ("1", ["champion"])
    lock = project.run("git", "show", "HEAD~2:dvc.lock")
    for stage in ("ingest", "export", "register"):
        for path, md5 in facts["record"][stage]["outs"].items():
            assert f"path: {path}\n      hash: md5\n      md5: {md5}\n" in lock
    assert list(facts["record"]) == ["ingest", "export", "register"]
    assert facts["data"]["path"] == "data/mine"
    assert facts["data"]["versions"] == [["mine", 1], ["copy", 1]]
    assert facts["commit"] == {"id": project.run("git", "rev-parse", "HEAD~3").strip(), "dirty": False}
    environment = facts["environment"]
    assert environment["python"].startswith("CPython 3.")
    program = Path(os.path.realpath(project.run("python", "-c", "import sys; print(sys.executable)").strip()))
    assert environment["python_sha256"] == hashlib.sha256(program.read_bytes()).hexdigest()

    said = project.croft("lineage", "1").stdout
    assert said.startswith("croft version 1 (champion), registered ")
    run = facts["stages"]["export"]["run_id"]
    assert f"├── export {run} " in said
    assert "read data/mine " in said
    assert "(mine@1, the same bytes as copy@1)" in said
    assert f"commit: {facts['commit']['id']}\n" in said


@pytest.mark.parametrize(("version", "knob", "data", "firsts"), [
    ("2", 5.0, 1, {"ingest": "1", "export": "2", "register": "2"}),
    ("3", None, 2, {"ingest": "3", "export": "3", "register": "3"}),
    ("4", 7.0, 2, {"ingest": "3", "export": "4", "register": "4"}),
])  # fmt: skip
def test_runs_that_were_reused_and_records_that_no_branch_holds(
    project: Traced, version: str, knob: float | None, data: int, firsts: dict[str, str]
) -> None:
    facts = project.read("lineage", version)
    assert {stage: run["first"] for stage, run in facts["stages"].items()} == firsts
    assert facts["data"]["versions"][0] == ["mine", data]
    if knob is not None:
        assert facts["record"]["export"]["params"]["finetune"]["lambda_1"] == knob
        assert facts["commit"]["dirty"]
    if firsts["ingest"] != version:
        assert "executed" in (said := project.croft("lineage", version).stdout)
        assert f"reused from version {firsts['ingest']}" in said


def test_bytes_lead_to_the_versions_that_saw_them(project: Traced) -> None:
    found = project.read("lineage", "--data", "mine@1")
    assert [one["version"] for one in found["seen_by"]] == ["4", "3", "2", "1"]
    assert found["unknown"] == []
    for one in found["seen_by"]:
        assert one["images"] == 10  # versions 3 and 4 had one more, which is not asked for
        # By the script: of 8 cats 0 and 1 of each domain train, 2 validates; ink is held out; one unknown yak in ink.
        assert one["roles"] == {
            "training": 4, "validation": 2, "test": 4, "open_set": 1, "held_out_training": 4
        }  # fmt: skip
    assert project.read("lineage", "--data", "copy")["seen_by"] == found["seen_by"]  # other name, same bytes
    added = project.read("lineage", "--data", "mine")["seen_by"]
    assert [(one["version"], one["images"]) for one in added] == [("4", 11), ("3", 11), ("2", 10), ("1", 10)]

    new = project.root / "data/mine/ink/cat/new9.png"
    for text in (hashlib.sha256(new.read_bytes()).hexdigest(), "data/mine/ink/cat/new9.png"):
        sights = project.read("lineage", "--data", text)["seen_by"]
        assert [(one["version"], one["roles"]["test"]) for one in sights] == [("4", 1), ("3", 1)]

    said = project.croft("lineage", "--data", "mine@1").stdout
    assert said.startswith("mine@1 (")
    assert "croft version 1 (champion)" in said
    nothing = project.croft("lineage", "--data", "apart")
    assert nothing.returncode == 0
    assert nothing.stdout.endswith(", 1 image: no version and no run that is recorded here has seen it\n")
    assert nothing.stdout.count("\n") == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("lineage", "--data", "nothing"), "data/nothing: no such data set under DVC; "),
    (("lineage", "--data", "no/file.png"), "no/file.png: no such file; expected NAME, NAME@VERSION, an image"),
    (("lineage", "--data", "mine", "1"), "VERSION and --data: choose one of the two"),
    (("lineage", "9"), "no version or alias '9'"),
    (("runs", "--data", "mine@9"), "mine@9: neither a version number"),
    (("runs", "--csv", "--json"), "--csv and --json: choose one of the two"),
])  # fmt: skip
def test_what_is_not_there_is_one_line(project: Traced, arguments: tuple[str, ...], message: str) -> None:
    done = project.croft(*arguments)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_table_of_runs(project: Traced) -> None:
    facts = project.read("lineage", "3")
    tags = {f"stage.{stage}.run_id": run["run_id"] for stage, run in facts["stages"].items()}
    parent = open_parent("train", tags, root=project.root)
    close_parent(parent, root=project.root)
    rows = project.read("runs")
    assert [row["version"] for row in rows] == ["3", "4", "3", "2", "1"]  # the parent, then `register` four times
    assert rows[0] == {
        **rows[0], "run_id": parent, "name": "train", "state": "FINISHED", "data": "mine@2",
        "commit": project.run("git", "rev-parse", "HEAD").strip(), "dirty": False,
    }  # fmt: skip
    assert [row["run_id"] for row in project.read("runs", "--limit", "2")] == [row["run_id"] for row in rows[:2]]
    on = {data: [row["version"] for row in project.read("runs", "--data", data)] for data in ("mine@1", "copy", "mine")}
    assert on == {"mine@1": ["2", "1"], "copy": ["2", "1"], "mine": ["3", "4", "3", "2", "1"]}
    table = list(csv.DictReader(io.StringIO(project.croft("runs", "--csv").stdout)))
    assert [row["run_id"] for row in table] == [row["run_id"] for row in rows]
    assert "No run on apart is recorded here" in project.croft("runs", "--data", "apart").stdout


def test_after_a_pull_in_another_clone_the_lineage_is_the_same(project: Traced, tmp_path: Path) -> None:
    copy = Traced(tmp_path / "copy")
    shutil.copytree(project.root, copy.root, symlinks=True)
    copy.run("git", "remote", "add", "self", str(copy.root))
    copy.run("dvc", "remote", "add", "-q", "--default", "shelf", str(tmp_path / "shelf"))
    copy.run("dvc", "push", "-q", "--all-commits")
    other = Traced(tmp_path / "other")
    copy.run("git", "clone", "-q", str(copy.root), str(other.root))
    shutil.copy2(copy.root / ".dvc/config", other.root / ".dvc/config")
    there = project.read("lineage", "3")
    store = f"sqlite:///{project.root}/.croft/mlflow.db"

    # The store of the first clone, and DVC's files through a remote: all records are known, but those of other runs.
    other.run("dvc", "pull", "-q")
    other.env[URI_VARIABLE] = store
    here = other.read("lineage", "3")
    assert (here["record"], here["data"], here["environment"]) == (
        there["record"], {**there["data"], "versions": [["mine", 2]]}, there["environment"]
    )  # fmt: skip
    found = other.read("lineage", "--data", "mine@2")
    assert "3" in [one["version"] for one in found["seen_by"]]
    assert any("version 2" in line for line in found["unknown"])  # was never committed: not known, and said so

    # A store of its own: the pulled files tell.
    del other.env[URI_VARIABLE]
    facts = other.read("lineage")
    assert (facts["version"], facts["registered_here"]) == ("3", False)
    assert facts["record"] == there["record"]


def state(project: Traced) -> dict[str, bytes]:
    """Every file but of scratch folders and of git's own store."""
    apart = {".git", "tmp", "reproductions", "checkouts", "__pycache__"}
    files = [file for file in project.root.rglob("*") if file.is_file()]
    kept = [file for file in files if not apart & set(file.relative_to(project.root).parts)]
    return {str(file): file.read_bytes() for file in kept}


@pytest.mark.parametrize("version", ["1", "2", "4"])
def test_a_version_is_made_again_and_nothing_else_changes(project: Traced, version: str) -> None:
    project.croft("lineage")  # the journal is settled
    before = state(project)
    done = project.croft("reproduce", version)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"croft version {version} was reproduced: " in done.stdout
    assert "Running stage 'ingest'" in done.stdout  # though DVC's cache has its outputs
    assert "Running stage 'register'" not in done.stdout
    assert "Not compared, since they name runs: artifacts/runs/ingest.json, artifacts/runs/export.json, " in done.stdout
    assert state(project) == before
    assert list((project.root / ".croft" / "reproductions").iterdir()) == []


def test_the_first_stage_that_differs_is_named(project: Traced) -> None:
    done = project.croft("reproduce", "1", "--json", NOISE="other")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["first"] == "export"
    differing = [output for output in found["outputs"] if not output["equal"]]
    assert [(output["path"], output["files"]) for output in differing] == [("artifacts/fits", ["b.txt"])]
    assert Path(found["kept"]).is_dir()
    shutil.rmtree(project.root / ".croft" / "reproductions")


def test_code_that_was_never_committed_is_named_before_anything_runs(project: Traced, tmp_path: Path) -> None:
    copy = Traced(tmp_path / "copy")
    shutil.copytree(project.root, copy.root, symlinks=True)
    (copy.root / "stages" / "note.py").write_text("# other code\n")
    copy.run("dvc", "repro", "-q")
    done = copy.croft("reproduce", "5")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("export: not as recorded: stages/note.py\n")
    assert "croft version 5: nothing was run." in done.stdout
    assert "Running stage" not in done.stdout
