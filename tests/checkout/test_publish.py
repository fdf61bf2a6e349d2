"""What a run in a checkout leaves in the project's repository and in the remote; real git and dvc."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import commit, git, make_project

from pipeline.checkout.make import Checkout, make_checkout, open_checkout
from pipeline.checkout.publish import publish
from pipeline.dvc_runner.remote import not_in_remote, send
from pipeline.errors import PipelineError

pytestmark = pytest.mark.xdist_group("dvc")


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a stage that has not run and a remote, which is a folder."""
    root = make_project(tmp_path / "a project")
    (root / "dvc.yaml").write_text("stages:\n  one:\n    cmd: mkdir -p many && echo 1 > many/a && echo 2 > many/b\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write("    outs: [many]\n")
    dvc(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    commit(root, "start of the graph")
    return root


def run(root: Path) -> Checkout:
    """A checkout in which the stage has run, and a stray file lies."""
    made = make_checkout(root)
    dvc(made.root, "repro", "-q")
    (made.root / "stray.txt").write_text("of no use")
    return made


def state(root: Path) -> tuple[str, str, str]:
    return git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain"), git(root, "ls-files", "--stage")


def test_results_become_a_branch_and_equal_ones_no_other(root: Path, tmp_path: Path) -> None:
    (root / "params.yaml").write_text("an edit")
    before = state(root)
    first = run(root)
    done = publish(first)
    assert done.branch == f"croft/runs/{first.name}"
    assert str(done) == f"branch {done.branch} ({done.commit[:12]}), pushed to the remote 'store' and listed there"
    assert git(root, "rev-parse", done.branch) == done.commit
    assert git(root, "rev-parse", f"{done.branch}~1") == before[0]
    assert git(root, "diff", "--name-only", "main", done.branch).split() == [".gitignore", "dvc.lock"]
    second = publish(run(root))
    assert (second.branch, second.commit) == (done.branch, done.commit)
    assert state(root) == before

    # Elsewhere, the branch and the remote are enough.
    git(tmp_path, "clone", "-q", "-b", done.branch, str(root), "clone")
    dvc(tmp_path / "clone", "pull", "-q")
    assert (tmp_path / "clone" / "many" / "b").read_text() == "2\n"


def test_a_revision_that_has_its_results_publishes_nothing(root: Path) -> None:
    dvc(root, "repro", "-q")
    commit(root, "results")
    made = make_checkout(root)
    assert publish(made).branch == ""
    assert str(publish(made)).startswith("nothing to publish")
    assert git(root, "for-each-ref", "refs/heads/croft") == ""


def test_a_file_that_the_remote_has_lost_is_noticed_though_dvc_remembers_its_push(root: Path, tmp_path: Path) -> None:
    made = run(root)
    assert send(made.root, ["one"]) == "store"
    assert not_in_remote(made.root, ["one"]) == []
    # md5 of "2\n": a file in the folder, not the folder's own listing, by which DVC judges all of it.
    (lost,) = (tmp_path / "store").rglob("26ab0db90d72e28ad0ba1e22ee510510"[2:])
    lost.unlink()
    assert not_in_remote(made.root, ["one"]) != []
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(PipelineError):
        publish(made)
    assert git(root, "for-each-ref", "refs/heads/croft") == ""


def test_a_checkout_is_known_by_its_folder(root: Path) -> None:
    made = make_checkout(root)
    assert open_checkout(made.root) == made
    assert open_checkout(root) is None
    copied = root.parent / "copied"
    shutil.copytree(made.root, copied)  # names a project that it does not lie in
    assert open_checkout(copied) is None
