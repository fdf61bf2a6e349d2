"""A project of three small stages with real git, DVC and MLflow, whose versions differ in data and params."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from pipeline.versioning.history import Version, read_history, write_history
from pipeline.versioning.pointer import read_pointer

ROOT = Path(__file__).resolve().parents[2]
INGEST = """
import hashlib, uuid, yaml
import pandas as pd
from datetime import UTC, datetime
from pathlib import Path
from pipeline.tables import MANIFEST, SPLITS, write_table
from pipeline.tracking.identity import Identity, write_identity

root = Path(yaml.safe_load(open("params.yaml"))["data"]["root"])
empty = {name: 0 if "int" in kind else "" for name, kind in MANIFEST.columns.items()}
rows, splits = [], []
for file in sorted(root.rglob("*.png")):
    path = file.relative_to(root).as_posix()
    domain, name, _ = path.split("/")
    rows.append({**empty, "path": path, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    number = int(file.stem[-1])
    common = {"seed": 1, "path": path, "class": name, "label": 0 if name == "cat" else -1, "open_set": ""}
    if name == "cat":  # 0 and 1 are trained on, 2 validates; of the others nothing is deployed
        if number < 3:
            splits.append({**common, "target": "*", "role": "train" if number < 2 else "validation"})
        splits.append({**common, "target": "ink", "role": "test_shifted" if domain == "ink" else "train"})
    elif domain == "ink":
        splits.append({**common, "target": "ink", "role": "test_unknown", "open_set": "classes"})
write_table(pd.DataFrame(rows), Path("artifacts/manifest.parquet"), MANIFEST)
write_table(pd.DataFrame(splits), Path("artifacts/splits.parquet"), SPLITS)
started = datetime.now(UTC).isoformat(timespec="seconds")
write_identity(Identity(run_id=uuid.uuid4().hex, stage="ingest", started=started), Path("artifacts/runs/ingest.json"))
"""
EXPORT = """
import hashlib, json, os, uuid, yaml
from datetime import UTC, datetime
from pathlib import Path
from pipeline.tracking.identity import Identity, write_identity
from tiny_model import write_tiny_model

card = write_tiny_model(Path("artifacts/export")) / "card.json"
content, graph = json.loads(card.read_text()), Path("artifacts/export/model.onnx").read_bytes()
hashes = {**content.get("sha256", {}), "graph": hashlib.sha256(graph).hexdigest()}
card.write_text(json.dumps({**content, "sha256": hashes}))
fits = Path("artifacts/fits")
fits.mkdir(exist_ok=True)
(fits / "a.txt").write_text(str(yaml.safe_load(open("params.yaml"))["finetune"]["lambda_1"]))
(fits / "b.txt").write_text(os.environ.get("NOISE", "the same"))
made_of = [Path("artifacts/manifest.parquet"), Path("stages/note.py")]  # other data or code make another version
(fits / "c.txt").write_text(" ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in made_of))
started = datetime.now(UTC).isoformat(timespec="seconds")
write_identity(Identity(run_id=uuid.uuid4().hex, stage="export", started=started), Path("artifacts/runs/export.json"))
"""
REGISTER = """
import json
from pathlib import Path
from pipeline.registry.register import register_model
from pipeline.registry.registration import Registration, write_registration
from pipeline.tracking.identity import read_identity
from stages._run import Record, stage

METRICS = {"zero-shot": {"mean": {"accuracy": 0.5}}, "croft": {"mean": {"accuracy": 0.8}}}
RUNS = Path("artifacts/runs")


@stage("register", sections=("register",))
def main(params):
    name = params.register_.model
    runs = {file.stem: read_identity(file).run_id for file in sorted(RUNS.glob("*.json"))}

    def within(run):
        tags = {f"stage.{stage}.run_id": made for stage, made in {**runs, "register": run}.items()}
        version = register_model(Path("artifacts/export"), name=name, run_id=run, tags=tags, metrics=METRICS)
        write_registration(Registration(name, version, run), Path("artifacts/registration.json"))

    card = Path("artifacts/export/card.json")
    graph = json.loads(card.read_text())["sha256"]["graph"]
    return Record(artifacts=[RUNS], datasets=[("model", graph, str(card))], within=within)


main()
"""
STAGES = {
    "ingest": {
        "cmd": "python ingest.py",
        "deps": ["${data.root}", "ingest.py"],
        "params": ["data"],
        "outs": ["artifacts/manifest.parquet", "artifacts/splits.parquet", "artifacts/runs/ingest.json"],
    },
    "export": {
        "cmd": "python export.py",
        "deps": ["artifacts/manifest.parquet", "artifacts/splits.parquet", "export.py", "stages/note.py"],
        "params": ["finetune"],
        "outs": ["artifacts/export", "artifacts/fits", "artifacts/runs/export.json"],
    },
    "register": {
        "cmd": "python register.py",
        "deps": ["artifacts/export", "artifacts/fits"],
        "params": ["register"],
        "outs": ["artifacts/registration.json", "artifacts/runs/register.json"],
    },
}


class Traced:
    """The project in a folder; the store is its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.env = {**kept, "PATH": path, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"}

    def make(self) -> None:
        """Write the files and make the repository; no data yet."""
        root = self.root
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
        (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        (root / ".gitignore").write_text("/artifacts\n.croft\n__pycache__/\n")
        (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
        for name, text in (("ingest.py", INGEST), ("export.py", EXPORT), ("register.py", REGISTER)):
            (root / name).write_text(text)
        (root / "stages").mkdir()
        (root / "stages" / "note.py").write_text("# code\n")
        params = (ROOT / "params.yaml").read_text().replace("root: data/builtin/digits", "root: data/mine")
        weights = root / yaml.safe_load(params)["backbone"]["weights"]
        weights.parent.mkdir(parents=True)
        weights.write_bytes(b"")
        (root / "params.yaml").write_text(params)
        self.run("git", "init", "-q", "-b", "main")
        self.run("git", "config", "user.name", "t")
        self.run("git", "config", "user.email", "t@example.org")

    def run(self, *command: str, **variables: str) -> str:
        done = self.try_run(*command, **variables)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env={**self.env, **variables}, capture_output=True, text=True, check=False
        )

    def croft(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.try_run(sys.executable, "-m", "pipeline.cli", *arguments, **variables)

    def read(self, *arguments: str) -> dict:
        """What `croft ... --json` prints."""
        done = self.croft(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def images(self, name: str, *paths: str) -> None:
        """Write images, each holding its own path, and make them a version of a data set."""
        for path in paths:
            file = self.root / "data" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.encode())
        self.run("dvc", "add", "-q", f"data/{name}")
        pointer = read_pointer(self.root, name)
        versions = read_history(self.root, name)
        version = Version(
            len(versions) + 1, pointer.md5, "2026-01-01", pointer.files, pointer.bytes, pointer.files, "there"
        )
        write_history(self.root, name, [*versions, version])

    def knob(self, value: float) -> None:
        """Set finetune.lambda_1."""
        params = (self.root / "params.yaml").read_text().splitlines(keepends=True)
        changed = [f"  lambda_1: {value}\n" if line.startswith("  lambda_1: ") else line for line in params]
        (self.root / "params.yaml").write_text("".join(changed))

    def commit(self, message: str) -> str:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)
        return self.run("git", "rev-parse", "HEAD").strip()
