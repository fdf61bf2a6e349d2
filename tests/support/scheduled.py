"""A small project for scheduled runs: git, DVC, a data set with versions, and a stage that registers real versions.

Every version has the same protocol fits, so that the gate, asked for no superiority, promotes them; its images are
those of the world whose number is below split.shots.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from loose_gate import LOOSE
from pictures import ROOT, commit, git, make_project, write_pictures
from tiny_model import write_tiny_model
from tiny_registration import SCRIPT, STAGE

from pipeline.hashing import file_sha256, tree_sha256

_EXPORT = """
import dataclasses, json, os, shutil, sys, time, uuid
from datetime import UTC, datetime
from pathlib import Path
import yaml
from pipeline.features import read_features, write_features
from pipeline.hashing import tree_sha256
from pipeline.tables import MANIFEST, SPLITS, read_table, write_table
from pipeline.tracking.identity import Identity, write_identity

hold = Path(os.environ.get("CROFT_TEST_HOLD", "/nowhere"))
if hold.is_file():  # holds the stage; says where it is
    hold.with_suffix(".pid").write_text(str(os.getpid()))
    time.sleep(600)
tiny, made = Path("tiny"), Path("artifacts")
for folder in ("export", "protocol"):
    shutil.copytree(tiny / folder, made / folder, dirs_exist_ok=True)
shots = yaml.safe_load(Path("params.yaml").read_text())["split"]["shots"]
is_used = lambda frame: frame["path"].map(lambda path: int(Path(path).stem) < shots)
for name, table in (("splits", SPLITS), ("manifest", MANIFEST)):
    frame = read_table(tiny / f"{name}.parquet", table)
    write_table(frame[is_used(frame)], made / f"{name}.parquet", table)
whole = read_features(tiny / "features")
used = is_used(whole.index)
kept = dataclasses.replace(whole, index=whole.index[used], clean=whole.clean[used])
write_features(kept, made / "features")
inputs = {"features": "features", "splits": "splits.parquet", "manifest": "manifest.parquet"}
hashes = {name: tree_sha256(made / file) for name, file in inputs.items()}
card = made / "export" / "card.json"
seen = sorted(path.name for path in Path("data/mine").rglob("*.png"))
card.write_text(json.dumps(json.loads(card.read_text()) | {"seen": seen, "sha256": hashes}))
started = datetime.now(UTC).isoformat(timespec="seconds")
write_identity(Identity(run_id=uuid.uuid4().hex, stage="export", started=started), made / "runs" / "export.json")
"""
_STAGES = {
    "export": {
        "cmd": "python export_tiny.py",
        "deps": ["data/mine", "export_tiny.py", "tiny"],
        "params": ["split.shots"],
        "outs": ["artifacts/export", "artifacts/features", "artifacts/splits.parquet", "artifacts/manifest.parquet",
                 "artifacts/protocol", "artifacts/runs/export.json"],
    },
    "register": STAGE,
}  # fmt: skip


def make_scheduled(root: Path, world: Any, **promote: object) -> Path:
    """The project, committed, with version 1 of the data set mine under DVC.

    Args:
        root: where it is made.
        world: features, fits and splits (the fixture of small_worlds.py).
        promote: keys of `promote` in params.yaml.
    """
    from small_worlds import manifest_of

    from pipeline.decision.fit import Limits
    from pipeline.decision.kept import keep, write_kept
    from pipeline.detection.scores.spaces import option_of
    from pipeline.features import write_features
    from pipeline.tables import MANIFEST, SPLITS, write_table

    make_project(root)
    features, fits, splits = world
    tiny, manifest = root / "tiny", manifest_of(features)
    write_features(features, tiny / "features")
    write_table(splits, tiny / "splits.parquet", SPLITS)
    write_table(manifest, tiny / "manifest.parquet", MANIFEST)
    kept = keep(features, fits, splits, manifest, method="plain", option=option_of("energy"), limits=Limits())
    write_kept(kept, tiny / "protocol")
    card = write_tiny_model(tiny / "export") / "card.json"
    inputs = {"features": "features", "splits": "splits.parquet", "manifest": "manifest.parquet"}
    hashes = {name: tree_sha256(tiny / file) for name, file in inputs.items()}
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sha256": hashes}))
    (root / "export_tiny.py").write_text(_EXPORT)
    (root / "register_tiny.py").write_text(SCRIPT)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": _STAGES}))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"]["root"] = "data/mine"
    params["promote"] |= LOOSE.model_dump(mode="json", exclude_unset=True) | promote
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (root / ".gitignore").write_text("/.croft/\n/artifacts/\n/data/.adding-*\n__pycache__/\n")
    write_pictures(root.parent / "first", {"photo/dog/1.png": 1, "photo/cat/1.png": 2})
    return root


def commit_all(root: Path, message: str) -> str:
    """Commit the tree; the commit."""
    return commit(root, message)


def tree(root: Path) -> dict[str, str]:
    """Hash of every file but ignored ones, pictures, and git's HEAD, index and refs but those of croft."""
    listed = git(root, "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    files = [root / name for name in filter(None, listed)] + sorted((root / "data").rglob("*.png"))
    hashes = {file.relative_to(root).as_posix(): file_sha256(file) for file in files if file.is_file()}
    refs = [line for line in git(root, "show-ref", "--head").splitlines() if "/croft/runs/" not in line]
    return {**hashes, "index": git(root, "ls-files", "--stage"), "refs": "\n".join(refs)}
