"""Checkouts of a real repository with the real git and dvc; the project's tree stays as it is, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import commit, git, make_project, write_pictures

from pipeline.checkout.inputs import bring_inputs
from pipeline.checkout.make import Checkout, checkout, make_checkout
from pipeline.checkout.owner import KEPT, claim, clean
from pipeline.dvc_runner import tracked
from pipeline.dvc_runner.cache import open_cache
from pipeline.errors import DataError, PipelineError
from pipeline.hashing import file_sha256
from pipeline.origin import CHECKOUTS, workspace
from pipeline.tracking.client import URI_VARIABLE, tracking_uri
from pipeline.versioning.history import Version, write_history
from pipeline.versioning.pointer import read_pointer

pytestmark = pytest.mark.xdist_group("dvc")


def snapshot(root: Path) -> dict[str, str]:
    """Hash of every file of the tree, and git's index, HEAD and refs."""
    files = [path for path in root.rglob("*") if path.is_file() and not {".git", ".croft", "tmp"} & set(path.parts)]
    hashes = {path.relative_to(root).as_posix(): file_sha256(path) for path in files}
    return {**hashes, "refs": git(root, "show-ref", "--head"), "index": git(root, "ls-files", "--stage")}


def record(root: Path, name: str, number: int) -> Version:
    """Put data/<name> as it is now under DVC, as a version; nothing is committed."""
    tracked.add(root, Path("data") / name)
    pointer = read_pointer(root, name)
    assert pointer
    versions = [] if number == 1 else [record.versions[name]]  # type: ignore[attr-defined]
    version = Version(number, pointer.md5, "2026-01-01", pointer.files, pointer.bytes, pointer.files, "test")
    write_history(root, name, [*versions, version])
    record.versions = {name: version}  # type: ignore[attr-defined]
    return version


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a committed version 1 of the data set mine, which its one stage reads."""
    root = make_project(tmp_path / "a project")
    write_pictures(root / "data" / "mine", {"photo/dog/1.png": 1, "photo/cat/1.png": 2})
    record(root, "mine", 1)
    (root / "dvc.yaml").write_text("stages:\n  count:\n    cmd: ls data/mine/photo/* > seen.txt\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write("    deps: [data/mine]\n    outs: [seen.txt]\n")
    (root / ".gitignore").write_text("/.croft/\n/seen.txt\n")
    commit(root, "version 1")
    return root


def grow(root: Path) -> Version:
    """Version 2 of mine, recorded and not committed, and an edit that nobody has recorded."""
    write_pictures(root / "data" / "mine", {"photo/dog/2.png": 3})
    version = record(root, "mine", 2)
    (root / "params.yaml").write_text("half an edit: [")
    (root / "notes.txt").write_text("untracked")
    git(root, "add", "params.yaml")
    return version


def test_a_checkout_holds_the_revision_and_the_latest_data_and_leaves_the_project_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    first, params = git(root, "rev-parse", "HEAD"), (root / "params.yaml").read_bytes()
    second = grow(root)
    before = snapshot(root)
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as a hook of git would
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    with checkout(root, "main", {"mine": "latest"}) as made:
        for name in ("GIT_DIR", "GIT_INDEX_FILE"):
            monkeypatch.delenv(name)
        assert bring_inputs(made.root) == []
        assert made.commit == first
        assert git(made.root, "rev-parse", "HEAD~1") == first
        assert git(made.root, "diff", "--name-only", "HEAD~1").split() == ["data/mine.dvc", "data/mine.versions.yaml"]
        assert git(made.root, "status", "--porcelain") == ""
        assert (made.root / "params.yaml").read_bytes() == params
        assert not (made.root / "notes.txt").exists()
        pointer = read_pointer(made.root, "mine")
        assert pointer
        assert pointer.md5 == second.md5
        assert len(list((made.root / "data" / "mine").rglob("*.png"))) == 3
        assert open_cache(made.root).folder == open_cache(root).folder
        assert workspace(made.root) == root
        assert tracking_uri(made.root) == f"sqlite:///{root}/.croft/mlflow.db"
        local = made.root / ".dvc" / "config.local"
        assert stat.S_IMODE(local.stat().st_mode) == 0o600
        subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=made.root, check=True)
        assert (made.root / "seen.txt").read_text().count("png") == 3
    assert not made.folder.exists()
    assert list((root / CHECKOUTS).iterdir()) == []
    assert snapshot(root) == before


def test_a_number_pins_a_version_and_one_that_the_revision_has_changes_nothing(root: Path) -> None:
    first = git(root, "rev-parse", "HEAD")
    grow(root)
    made = make_checkout(root, first[:10], {"mine": 1})
    assert git(made.root, "rev-parse", "HEAD") == first
    assert git(made.root, "status", "--porcelain") == ""
    with pytest.raises(DataError, match=r"data set mine: expected latest or a version number, found 3; .* 1 to 2"):
        make_checkout(root, "main", {"mine": 3})
    with pytest.raises(DataError, match=r"data set other: .* no version; add one"):
        make_checkout(root, "main", {"other": "latest"})
    with pytest.raises(PipelineError, match="no revision 'nowhere' here"):
        make_checkout(root, "nowhere")
    assert [path.name for path in sorted((root / CHECKOUTS).iterdir())] == [made.name, f"{made.name}.json"]


def test_remotes_and_local_settings_are_the_projects_and_missing_inputs_are_pulled(root: Path, tmp_path: Path) -> None:
    # One relative to the committed settings, one relative to the local ones; the password is local.
    config, local = root / ".dvc" / "config", root / ".dvc" / "config.local"
    config.write_text("[core]\n    remote = near\n['remote \"near\"']\n    url = ../../near\n")
    local.write_text("['remote \"far\"']\n    url = ../../far\n['remote \"shut\"']\n    password = secret\n")
    with config.open("a") as file:
        file.write("['remote \"shut\"']\n    url = https://example.org/store\n")
    commit(root, "remotes")
    subprocess.run([sys.executable, "-m", "dvc", "push", "-q"], cwd=root, check=True)
    assert (tmp_path / "near").is_dir()
    shutil.rmtree(root / ".dvc" / "cache")
    made = make_checkout(root)
    assert bring_inputs(made.root) == ["data/mine.dvc"]
    assert len(list((made.root / "data" / "mine").rglob("*.png"))) == 2
    said = subprocess.run(
        [sys.executable, "-m", "dvc", "config", "--list"], cwd=made.root, check=True, capture_output=True, text=True
    ).stdout
    assert "remote.shut.password=secret" in said
    assert "remote.shut.url=https://example.org/store" in said
    settings = dict(line.split("=", 1) for line in said.splitlines())
    assert (made.root / ".dvc" / settings["remote.far.url"]).resolve() == tmp_path / "far"
    shutil.rmtree(root / ".dvc" / "cache")
    shutil.rmtree(tmp_path / "near")
    with pytest.raises(PipelineError):
        bring_inputs(make_checkout(root).root)


def test_without_a_remote_a_missing_input_is_named(root: Path) -> None:
    shutil.rmtree(root / ".dvc" / "cache")
    made = make_checkout(root)
    with pytest.raises(PipelineError, match=r"data/mine\.dvc: its data is neither .* no remote is set"):
        bring_inputs(made.root)


def test_a_failed_run_keeps_its_checkout_and_a_killed_one_is_cleaned_up(root: Path) -> None:
    said: list[str] = []
    with pytest.raises(ZeroDivisionError), checkout(root, tell=said.append) as failed:
        raise ZeroDivisionError
    assert said == [f"the checkout is kept: {failed.root}"]
    assert failed.root.is_dir()

    code = f"""
import os, sys
from pathlib import Path
from pipeline.checkout.make import make_checkout
print(make_checkout(Path({str(root)!r})).folder, flush=True)
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    killed = Path(done.stdout.strip())
    assert killed.is_dir()
    mine = make_checkout(root)
    assert not killed.exists()
    assert failed.root.is_dir()
    assert mine.root.is_dir()

    elsewhere = json.loads(killed.with_name(f"{mine.name}.json").read_text()) | {"croft.host": "another", "kept": False}
    other = mine.folder.with_name("20000101-000000-aaaaaa")
    other.mkdir()
    other.with_name(f"{other.name}.json").write_text(json.dumps(elsewhere))
    for number in range(KEPT):
        later = mine.folder.with_name(f"29990101-00000{number}-aaaaaa")
        later.mkdir()
        claim(later, kept=True)
    assert clean(root) == [failed.folder]
    assert other.is_dir()


def test_a_project_that_is_a_part_of_a_worktree_and_a_linked_state_folder(root: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.copytree(root, whole / "part", ignore=shutil.ignore_patterns(".git"))
    git(whole, "init", "-q", "-b", "main")
    commit(whole, "all")
    git(whole, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    part = tmp_path / "side" / "part"
    (tmp_path / "large disk").mkdir()
    (part / ".croft").symlink_to(tmp_path / "large disk")
    made: Checkout = make_checkout(part, "side")
    assert made.root == part / CHECKOUTS / made.name / "part"
    assert (made.root / "data" / "mine.dvc").read_bytes() == (part / "data" / "mine.dvc").read_bytes()
    assert workspace(made.root) == part


def test_a_folder_without_git_and_one_without_dvc_are_refused(root: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(PipelineError, match="this folder is in none; run `git init`"):
        make_checkout(bare)
    git(bare, "init", "-q", "-b", "main")
    (bare / "file").write_text("a")
    commit(bare, "no dvc")
    with pytest.raises(PipelineError, match=r"no DVC project at [0-9a-f]{12}; commit \.dvc and dvc.yaml"):
        make_checkout(bare)
