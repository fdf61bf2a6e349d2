"""`croft compare` in a tiny project: real git, DVC and MLflow; its stages write scores that a knob decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.comparison.reference import parse_reference
from pipeline.comparison.resolve import SCORES, resolve
from pipeline.dvc_runner.cache import open_cache
from pipeline.errors import DataError, TrackingError
from pipeline.tracking.client import EXPERIMENT_VARIABLE, URI_VARIABLE

pytestmark = pytest.mark.xdist_group("dvc")
ROOT = Path(__file__).resolve().parents[2]
INGEST = """
import hashlib
import pandas as pd
from pathlib import Path
from pipeline.tables import MANIFEST, write_table

files = sorted(Path("data/mine").rglob("*.png"))
rows = [
    {
        **{name: 0 if "int" in kind else "" for name, kind in MANIFEST.columns.items()},
        "path": file.relative_to("data/mine").as_posix(),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "phash": hashlib.sha256(file.name.encode()).hexdigest()[:16],
    }
    for file in files
]
write_table(pd.DataFrame(rows), Path("artifacts/manifest.parquet"), MANIFEST)
"""
EVALUATE = """
import json, os, subprocess, uuid
import pandas as pd, yaml
from pathlib import Path
from pipeline.tables import SCORES, write_table
from pipeline.tracking.identity import Identity, write_identity

right = int(yaml.safe_load(open("params.yaml"))["finetune"]["lambda_1"])  # the share of right answers, in tenths
rows = []
for i, path in enumerate(pd.read_parquet("artifacts/manifest.parquet")["path"]):
    domain, name, _ = path.split("/")
    known = name == "cat"
    for seed in (1, 2):
        wrong = int(i % 10 >= right)
        rows.append({
            "target": domain, "seed": seed, "path": path, "role": "test_shifted" if known else "test_unknown",
            "open_set": "" if known else "classes", "label": 0 if known else -1, "predicted": wrong, "confidence": 0.5,
            "score": i % 7 + (0 if known else right / 2),
        })
scores = pd.concat([pd.DataFrame(rows).assign(method=name) for name in ("croft", "zero-shot")])
write_table(scores, Path("artifacts/evaluation/scores.parquet"), SCORES)
score = "mcm" if right == 9 else "energy"
Path("artifacts/evaluation/choice.json").write_text(json.dumps({"method": "croft", "score": score}))
commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
write_identity(Identity(run_id=uuid.uuid4().hex, git_commit=commit), Path("artifacts/runs/evaluate.json"))
"""
STAGES = {
    "ingest": {
        "cmd": "python ingest.py",
        "deps": ["data/mine", "ingest.py"],
        "outs": ["artifacts/manifest.parquet"],
    },
    "evaluate": {
        "cmd": "python evaluate.py",
        "deps": ["artifacts/manifest.parquet", "pipeline/evaluate.py"],
        "params": ["finetune", "export"],
        "outs": [
            "artifacts/evaluation/scores.parquet",
            "artifacts/evaluation/choice.json",
            "artifacts/runs/evaluate.json",
        ],
    },
}


class Project:
    """A project of two stages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**kept, "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def commit(self, message: str) -> str:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", message)
        return self.run("git", "rev-parse", "HEAD").strip()

    def evaluate(self, right: int) -> str:
        """Set the knob, bring the scores up to date and return the run of the evaluation."""
        params = (self.root / "params.yaml").read_text().splitlines(keepends=True)
        changed = [f"  lambda_1: {right}.0\n" if line.startswith("  lambda_1: ") else line for line in params]
        (self.root / "params.yaml").write_text("".join(changed))
        self.run("dvc", "repro", "-q")
        return json.loads((self.root / "artifacts/runs/evaluate.json").read_text())["run_id"]

    def compare(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline.cli", "compare", *arguments]
        return subprocess.run(command, cwd=self.root, env=self.env, capture_output=True, text=True, check=False)

    def read(self, *arguments: str) -> dict:
        """What --json prints."""
        done = self.compare(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def state(self) -> dict[str, bytes]:
        """Every file of the working tree and of git's index."""
        files = [file for file in self.root.rglob("*") if file.is_file()]
        kept = [file for file in files if not {".git", "tmp", ".croft"} & set(file.relative_to(self.root).parts)]
        return {str(file): file.read_bytes() for file in [*kept, self.root / ".git" / "HEAD"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The knob at 5 on main and tagged v1, at 8 on a later commit, at 9 and 6 in runs that were never committed.

    The second commit also has one more image, and another picture under the name of an old one.
    """
    project = Project(tmp_path_factory.mktemp("compare") / "project")
    root = project.root
    for domain in ("ink", "oil"):
        for name, count in (("cat", 30), ("yak", 10)):
            (root / "data" / "mine" / domain / name).mkdir(parents=True)
            for i in range(count):
                (root / "data" / "mine" / domain / name / f"{domain}{i:02}.png").write_bytes(
                    f"{domain}{name}{i}".encode()
                )
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / ".gitignore").write_text("/artifacts\n.croft\n")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (root / "ingest.py").write_text(INGEST)
    (root / "pipeline").mkdir()
    (root / "pipeline" / "evaluate.py").write_text("# code\n")
    (root / "evaluate.py").write_text(EVALUATE)
    params = (ROOT / "params.yaml").read_text().replace("root: data/builtin/digits", "root: data/mine")
    weights = root / yaml.safe_load(params)["backbone"]["weights"]
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    (root / "params.yaml").write_text(params)
    project.run("git", "init", "-q", "-b", "main")
    project.run("dvc", "add", "-q", "data/mine")
    project.evaluate(5)
    project.commit("first")
    project.run("git", "tag", "v1")
    (root / "data/mine/ink/cat/new.png").write_bytes(b"new")
    (root / "data/mine/ink/cat/ink00.png").write_bytes(b"another picture")
    (root / "pipeline" / "evaluate.py").write_text("# other code\n")
    project.run("dvc", "add", "-q", "data/mine")
    project.evaluate(8)
    project.commit("second")
    return project


@pytest.fixture(scope="module")
def runs(project: Project) -> dict[int, str]:
    """Runs of evaluations that no commit holds, by the knob; the workspace is as it was committed afterwards."""
    made = {right: project.evaluate(right) for right in (9, 6)}
    project.run("git", "checkout", "-q", "--", "params.yaml", "dvc.lock")
    project.run("dvc", "checkout", "-q")
    return made


def test_two_revisions(project: Project) -> None:
    before = project.state()
    found = project.read("v1", "HEAD")
    assert project.state() == before
    first, second = (project.run("git", "rev-parse", name).strip() for name in ("v1", "HEAD"))
    assert found["changes"] == {
        "params": {"finetune.lambda_1": ["5.0", "8.0"]},
        "inputs": {"data/mine": found["changes"]["inputs"]["data/mine"]},
        "code": ["pipeline/evaluate.py"],
        "commit": [first, second],
    }
    assert found["images"]["known"] == 59  # 60, without the one whose bytes differ
    assert found["images"]["unknown"] == 20
    assert (found["images"]["only_b"], found["images"]["other_bytes"]) == (1, 1)
    assert found["images"]["targets"] == ["ink", "oil"]
    assert set(found["metrics"]) == {
        "accuracy", "accuracy_worst", "auroc", "fpr95_id_positive", "fpr95_ood_positive",
    }  # fmt: skip
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["verdict"] == "better"
    assert accuracy["low"] < accuracy["difference"] < accuracy["high"]
    assert accuracy["difference"] == pytest.approx(accuracy["b"] - accuracy["a"])
    assert (accuracy["seeds"], accuracy["spread"]) == (2, 0.0)  # the knob decides, not the seed


def test_what_a_person_reads(project: Project) -> None:
    text = project.compare("v1").stdout
    assert text.startswith("A: v1 (")
    assert "B: the workspace, method croft" in text
    assert "Compared on 59 images of known classes and 20 unknown images that both tested; held out: ink, oil" in text
    assert "Left out: 1 image that only B tested, 1 image whose bytes differ" in text
    for name in ("accuracy, worst held-out domain", "AUROC", "FPR95, ID positive", "FPR95, OOD positive"):
        assert name in text
    assert "params: finetune.lambda_1: 5.0 → 8.0" in text
    assert "(1 added, 1 changed)" in text
    assert "code: pipeline/evaluate.py" in text


def test_markdown_is_a_table_for_a_pull_request(project: Project) -> None:
    lines = project.compare("v1", "main", "--markdown").stdout.splitlines()
    (head,) = (number for number, line in enumerate(lines) if line.startswith("| %"))
    width = lines[head].count("|")
    assert lines[head - 1] == ""
    assert lines[head + 1].startswith("| --- | ---: |")
    assert [line.count("|") for line in lines[head : head + 7]] == [width] * 7
    assert "- params: finetune.lambda\\_1: 5.0 → 8.0" in lines


def test_the_same_twice_says_that_nothing_differs(project: Project) -> None:
    text = project.compare("main", "HEAD").stdout
    assert "What differs: nothing" in text
    assert text.count("identical") == 5


def test_another_open_set_score_is_named(project: Project, runs: dict[int, str]) -> None:
    text = project.compare("main", runs[9]).stdout
    assert "A: main (" in text
    assert "method croft, open-set score energy" in text
    assert "method croft, open-set score mcm" in text
    assert "open-set score: energy → mcm; the open-set metrics compare method and score together" in text
    found = project.read("main", runs[9])
    assert (found["a"]["score"], found["b"]["score"]) == ("energy", "mcm")
    assert "open-set score:" not in project.compare("main", runs[6]).stdout


def test_another_method(project: Project) -> None:
    assert project.read("v1", "HEAD", "--method", "zero-shot")["a"]["method"] == "zero-shot"
    done = project.compare("v1", "HEAD", "--method", "zeroshot")
    assert done.returncode == 2
    assert "method 'zeroshot' was not evaluated; did you mean 'zero-shot'?" in done.stderr


def test_a_run_that_was_never_committed_comes_from_the_run_cache(project: Project, runs: dict[int, str]) -> None:
    found = project.read(runs[9], runs[6])
    assert found["changes"]["params"] == {"finetune.lambda_1": ["9.0", "6.0"]}
    assert found["changes"]["inputs"] == {}  # the manifest's stage was found too
    assert found["metrics"]["accuracy"]["verdict"] == "worse"
    assert project.read("HEAD", runs[9])["changes"]["inputs"] == {}


def test_an_experiment_of_dvc(project: Project) -> None:
    project.run("dvc", "exp", "run", "-q", "--temp", "-n", "keen", "-S", "finetune.lambda_1=7.0")
    found = project.read("HEAD", "keen")
    assert found["changes"]["params"] == {"finetune.lambda_1": ["8.0", "7.0"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "nowhere: no such git revision; a model version is written as its number"),
        (("--json", "--markdown", "v1"), "--markdown and --json: choose one of the two"),
        (("models:/croft",), "expected a git revision"),
        (("0" * 32,), "no run 00000000"),
        (("7",), "no registered model 'croft'"),
    ],
)
def test_what_cannot_be_found_is_one_line(project: Project, arguments: tuple[str, ...], message: str) -> None:
    done = project.compare(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_revision_without_an_evaluation(project: Project) -> None:
    tree = project.run("git", "hash-object", "-w", "-t", "tree", "/dev/null").strip()
    author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    project.run("git", "tag", "bare", project.run("git", *author, "commit-tree", "-m", "empty", tree).strip())
    assert "dvc.lock holds no evaluation; run `croft run` there and commit dvc.lock" in project.compare("bare").stderr


def test_scores_that_are_not_in_the_cache_can_be_fetched(project: Project, tmp_path: Path) -> None:
    project.run("git", "clone", "-q", str(project.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    alone = clone.compare("v1", "origin/main").stderr
    assert alone.startswith("error: v1 (")
    assert "artifacts/evaluation/scores.parquet is not in DVC's cache; no remote is set to `dvc fetch` it from" in alone
    project.run("dvc", "remote", "add", "-q", "--local", "--default", "shelf", str(tmp_path / "shelf"))
    project.run("dvc", "push", "-q", "--all-commits")
    clone.run("dvc", "remote", "add", "-q", "--local", "--default", "shelf", str(tmp_path / "shelf"))
    advice = clone.compare("v1", "origin/main").stderr.partition("run `")[2].partition("`")[0]
    assert advice.startswith("dvc fetch --all-commits ")
    clone.run(*advice.split())
    assert clone.read("v1", "origin/main")["metrics"]["accuracy"] == project.read("v1", "main")["metrics"]["accuracy"]


@pytest.fixture
def registered(
    project: Project, runs: dict[int, str], monkeypatch: pytest.MonkeyPatch, write_tiny_model: Callable[..., Path]
) -> Project:
    """Version 1 of the evaluation at HEAD, version 2 (champion) of one that was never committed."""
    import time

    from pipeline.registry.register import register_model
    from pipeline.tracking.client import connect
    from pipeline.tracking.parents import open_parent
    from pipeline.tracking.runs import stage_run

    for name in (URI_VARIABLE, EXPERIMENT_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    root = project.root
    write_tiny_model(root / ".croft" / "export")
    committed = json.loads((root / "artifacts/runs/evaluate.json").read_text())["run_id"]
    for evaluation in (committed, runs[9]):
        with stage_run("register", started=time.time(), params={}, out=None, root=root) as run:
            register_model(
                root / ".croft" / "export", name="croft", run_id=run.run_id,
                tags={"stage.evaluate.run_id": evaluation}, metrics={"croft": {"mean": {"accuracy": 0.8}}}, root=root,
            )  # fmt: skip
    connect(root).set_registered_model_alias("croft", "champion", "2")
    project.register_run = run.run_id
    project.parent = open_parent("train", {"stage.evaluate.run_id": runs[9]}, root=root)
    return project


def test_versions_and_runs_of_the_registry(registered: Project) -> None:
    root, cache = registered.root, open_cache(registered.root)

    def found(text: str):
        return resolve(root, cache, parse_reference(text, "croft"))

    head = found("HEAD")
    assert found("1").lock.outs[SCORES] == found("croft/1").lock.outs[SCORES] == head.lock.outs[SCORES]
    champion = found("croft@champion")
    assert champion.title == "croft version 2 (champion)"
    assert champion.lock.params["finetune"]["lambda_1"] == 9.0
    assert champion.commit == head.commit
    assert found(registered.parent).lock.outs == champion.lock.outs
    with pytest.raises(TrackingError, match="is of the stage register; expected a run of the stage evaluate"):
        found(registered.register_run)
    with pytest.raises(TrackingError, match="no version or alias '3'"):
        found("3")
    assert registered.read("1", "croft@champion")["changes"]["params"] == {"finetune.lambda_1": ["8.0", "9.0"]}


def test_a_version_whose_evaluation_is_nowhere_recorded(registered: Project) -> None:
    from pipeline.tracking.client import connect

    lost = uuid.uuid4().hex
    connect(registered.root).set_model_version_tag("croft", "1", "stage.evaluate.run_id", lost)
    with pytest.raises(DataError, match=f"holds its evaluation .run {lost}.; commit dvc.lock after a run"):
        resolve(registered.root, open_cache(registered.root), parse_reference("1", "croft"))
