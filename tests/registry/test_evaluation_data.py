"""The gate at any revision of the workspace: what a version was evaluated on comes from DVC's cache or its remote."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from loose_gate import LOOSE
from pictures import ROOT, commit, git
from scheduled import make_scheduled, tree
from small_worlds import manifest_of, world  # noqa: F401

from pipeline.decision.fit import Limits
from pipeline.decision.kept import keep, write_kept
from pipeline.detection.scores.spaces import option_of
from pipeline.origin import CHECKOUTS
from pipeline.registry.gate import Verdict
from pipeline.registry.promotion import promote
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE, connect
from pipeline.tracking.runs import PARENT_VARIABLE

pytestmark = [pytest.mark.xdist_group("dvc"), pytest.mark.timeout(900)]


class Project:
    """Version 1, the champion, of the workspace; 2 of the branch other, which is checked out nowhere; 3 of an
    experiment that ran in a folder of its own. A version's images are those of 3 domains, with 3 known classes and 1
    unknown one, that are numbered below `split.shots`: of 6 for version 1, of 5 for version 2, of 4 for version 3.
    """

    def __init__(self, folder: Path, world) -> None:  # noqa: F811
        self.root = make_scheduled(folder / "project", world)
        self.cache = self.root / ".dvc" / "cache"
        root, (features, fits, splits) = self.root, world
        git(root, "config", "user.name", "t")
        git(root, "config", "user.email", "t@example.org")
        shutil.copytree(folder / "first", root / "data" / "mine")
        self.dvc("add", "-q", "data/mine")
        self.remote = folder / "remote"
        self.dvc("remote", "add", "-q", "-d", "store", str(self.remote))
        commit(root, "data")
        self.dvc("repro", "-q")
        commit(root, "version 1")
        assert promote("croft", "1", limits=LOOSE, root=root).promoted

        git(root, "switch", "-q", "-c", "other")
        self.shots(5)
        kept = keep(
            features, fits, splits, manifest_of(features), method="tuned", option=option_of("energy"), limits=Limits()
        )
        write_kept(kept, root / "tiny" / "protocol")
        commit(root, "other fits")
        self.dvc("repro", "-q")
        commit(root, "version 2")
        self.in_folder = promote("croft", "2", limits=LOOSE, root=root, dry_run=True)

        git(root, "switch", "-q", "main")
        self.dvc("checkout", "-q")
        self.dvc("exp", "run", "-q", "--temp", "--name", "apart", "-S", "split.shots=4")
        self.dvc("push", "-q", "--all-commits")

    def dvc(self, *arguments: str) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**kept, "PATH": path, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def shots(self, number: int) -> None:
        file = self.root / "params.yaml"
        params = yaml.safe_load(file.read_text())
        params["split"]["shots"] = number
        file.write_text(yaml.safe_dump(params, sort_keys=False))

    def judge(self, version: str, root: Path | None = None) -> Verdict:
        return promote("croft", version, limits=LOOSE, root=root or self.root, dry_run=True)

    def compared(self, version: str) -> str:
        """On what a version was compared, or why it cannot be."""
        (sentence,) = [one.sentence for one in self.judge(version).reasons if one.name == "comparable"]
        return sentence

    def logged(self, version: str, folder: str) -> Path:
        """What the store keeps of a version's run."""
        run = connect(self.root).get_model_version("croft", version).run_id
        (found,) = (self.root / ".croft" / "mlartifacts").glob(f"**/{run}/artifacts/{folder}")
        return found

    def object(self, path: str, revision: str = "other") -> Path:
        """What the cache keeps of an output, or of a file in it, at a revision."""
        output, _, inside = path.partition("//")
        stages = yaml.safe_load(git(self.root, "show", f"{revision}:dvc.lock"))["stages"]
        md5 = next(out["md5"] for stage in stages.values() for out in stage["outs"] if out["path"] == output)
        if inside:
            listing = json.loads((self.cache / "files/md5" / md5[:2] / md5[2:]).read_text())
            md5 = next(item["md5"] for item in listing if item["relpath"] == inside)
        return self.cache / "files/md5" / md5[:2] / md5[2:]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, world) -> Project:  # noqa: F811
    with pytest.MonkeyPatch.context() as patch:
        for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
            patch.delenv(name, raising=False)
        return Project(tmp_path_factory.mktemp("evaluated"), world)


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (URI_VARIABLE, PARENT_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@contextlib.contextmanager
def changed(project: Project) -> Iterator[None]:
    """The cache, the remote and DVC's settings are as before when the block ends."""
    places = [project.cache, project.remote, project.root / ".dvc" / "config"]
    saved = project.root.parent / "saved"
    for place in places:
        copy = saved / place.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copytree(place, copy) if place.is_dir() else shutil.copy(place, copy)
    try:
        yield
    finally:
        for place in places:
            shutil.rmtree(place, ignore_errors=True) if place.is_dir() else place.unlink()
            (saved / place.name).rename(place)


def emptied(project: Project) -> None:
    shutil.rmtree(project.cache / "files")


def without_remote(project: Project) -> None:
    (project.root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")


def in_cache(project: Project) -> set[str]:
    return {file.parent.name + file.name for file in (project.cache / "files/md5").rglob("*") if file.is_file()}


def test_the_verdict_is_that_of_the_folder_and_the_workspace_stays(project: Project) -> None:
    # 5 images of each known class and of the unknown one, in 3 domains, each held out once: 45 and 15.
    assert project.compared("2").startswith(
        "against champion 1: 45 known and 15 unknown images that neither version has "
    )
    rows = project.in_folder.table["comparisons"][0]["rows"]
    assert any(row["gain"] for row in rows)  # the fits are others

    before, artifacts = tree(project.root), sorted((project.root / "artifacts").rglob("*"))
    assert project.judge("2") == project.in_folder
    assert tree(project.root) == before
    assert sorted((project.root / "artifacts").rglob("*")) == artifacts
    (project.root / "artifacts").rename(project.root / "away")
    try:
        assert project.judge("2") == project.in_folder
        assert not (project.root / "artifacts").exists()
    finally:
        (project.root / "away").rename(project.root / "artifacts")


def test_a_version_of_an_experiment_that_ran_elsewhere_is_judged(project: Project) -> None:
    assert git(project.root, "branch", "--list", "--format=%(refname:short)").split() == ["main", "other"]
    # 4 images of each of 3 known classes and of the unknown one in 3 domains: 36 and 12.
    assert project.judge("3").passed
    assert project.compared("3").startswith("against champion 1: 36 known and 12 unknown images ")


@pytest.mark.slow
def test_a_version_of_a_queued_experiment_is_judged(project: Project) -> None:
    project.dvc("exp", "run", "-q", "--queue", "--name", "queued", "-S", "split.shots=3")
    project.dvc("exp", "run", "-q", "--run-all")
    assert project.judge("4").passed
    assert project.compared("4").startswith("against champion 1: 27 known and 9 unknown images ")


def test_a_checkout_of_another_revision_will_do(project: Project) -> None:
    from pipeline.checkout.make import make_checkout

    made = make_checkout(project.root, "main~1")
    try:
        assert not (made.root / "artifacts").exists()
        assert project.judge("2", made.root) == project.in_folder
        with changed(project):
            shutil.rmtree(project.cache / "runs")
            assert project.judge("3", made.root).passed  # only the project has the experiment's commit
    finally:
        made.remove()
    assert list((project.root / CHECKOUTS).iterdir()) == []


def test_a_record_whose_run_file_is_gone_is_found_by_what_the_version_kept(project: Project) -> None:
    kept = project.logged("2", "runs")
    with changed(project):
        for run in ("export", "register"):
            project.object(f"artifacts/runs/{run}.json").unlink()
        shutil.rmtree(project.cache / "runs")
        assert project.judge("2") == project.in_folder
        kept.rename(kept.with_name("away"))
        try:
            sentence = project.compared("2")
            without_remote(project)
            alone = project.compared("2")
        finally:
            kept.with_name("away").rename(kept)
        assert "nor DVC's run cache, records which artifacts/manifest.parquet, artifacts/splits.parquet, " in sentence
        assert sentence.endswith(
            "bring the branch that does with `git fetch --all` and "
            "`dvc fetch --all-commits artifacts/runs/export.json`, or promote it where it was made"
        )
        assert alone.endswith("bring the branch that does with `git fetch --all`, or promote it where it was made")


@pytest.mark.parametrize("path", ["artifacts/features//clean.npy", "artifacts/splits.parquet", "artifacts/features"])
def test_a_tampered_object_is_refused(project: Project, path: str) -> None:
    with changed(project):
        file = project.object(path)
        file.chmod(0o644)
        content = bytearray(file.read_bytes())
        if path == "artifacts/features":  # a listing that is one, and leaves out a file
            content = json.dumps(json.loads(content)[1:]).encode()
        else:
            content[-1] ^= 1
        file.write_bytes(content)
        sentence = project.compared("2")
        assert sentence.startswith(
            "not comparable: artifacts/ does not hold the images that version 2 was evaluated on ("
        )
        part = path.partition("//")[0]
        assert f"{file} in DVC's cache, a part of its {part}, is damaged; remove it, then promote again" in sentence
        file.unlink()
        assert project.judge("2") == project.in_folder


def test_a_listing_that_leads_out_of_its_folder_is_refused(project: Project) -> None:
    with changed(project):
        file = project.object("artifacts/features")
        file.chmod(0o644)
        items = json.loads(file.read_bytes())
        items[0]["relpath"] = "../../outside"
        file.write_text(json.dumps(items))
        assert f"{file}: not a DVC listing: it names ../../outside; remove it" in project.compared("2")


def test_what_the_cache_lacks_is_named_with_what_brings_it(project: Project) -> None:
    commit_of_version = git(project.root, "rev-parse", "other~1")[:12]
    with changed(project):
        emptied(project)
        without_remote(project)
        sentence = project.compared("2")
        assert "\n" not in sentence
        assert sentence.endswith(
            "(manifest, splits, features differ), and artifacts/manifest.parquet, artifacts/splits.parquet, "
            "artifacts/features are not in DVC's cache; no remote is set to `dvc fetch` them from; share the cache of "
            "a clone that has them: `dvc cache dir --local CLONE/.dvc/cache`, or check commit "
            f"{commit_of_version} out and run `dvc repro featurize`"
        )


def test_only_these_objects_are_fetched_from_the_remote(project: Project) -> None:
    with changed(project):
        expected = {"artifacts/manifest.parquet", "artifacts/splits.parquet", "artifacts/features"}
        objects = {project.object(path) for path in expected}
        inside = {item["md5"] for item in json.loads(project.object("artifacts/features").read_text())}
        emptied(project)
        assert project.judge("2") == project.in_folder
        assert in_cache(project) == {file.parent.name + file.name for file in objects} | inside

        # What the remote has is not taken on trust, and what it has not is named.
        emptied(project)
        stored = project.remote / project.object("artifacts/splits.parquet").relative_to(project.cache)
        stored.chmod(0o644)
        stored.write_bytes(b"something else")
        sentence = project.compared("2")
        assert sentence.endswith(
            "artifacts/splits.parquet is neither in DVC's cache nor in the remote 'store'; in a clone that has it, "
            "run `dvc push --all-commits artifacts/splits.parquet`"
        )
        assert stored.relative_to(project.remote / "files/md5").as_posix().replace("/", "") not in in_cache(project)


def test_a_remote_that_cannot_be_reached_is_one_line(project: Project) -> None:
    with changed(project):
        emptied(project)
        settings = (
            "[core]\n    analytics = false\n    remote = far\n['remote \"far\"']\n    url = webhdfs://nowhere/x\n"
        )
        (project.root / ".dvc" / "config").write_text(settings)
        sentence = project.compared("2")
        assert "are not in DVC's cache (remote 'far': webhdfs is supported, but requires 'dvc-webhdfs'" in sentence
        assert sentence.endswith(
            "; run `dvc fetch --all-commits artifacts/manifest.parquet artifacts/splits.parquet artifacts/features`"
        )
        assert "\n" not in sentence
