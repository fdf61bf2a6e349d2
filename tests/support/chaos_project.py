"""A project of two tracked stages that takes seconds, and changes with a number; with real git, DVC and MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pictures import commit
from scheduled import make_scheduled
from tiny_registration import STAGE

NUMBER = Path("number.txt")
_PREPARE = """
import json, shutil, time
from pathlib import Path
from stages._run import Record, stage

number = Path("number.txt").read_text()


@stage("prepare", sections=("data",))
def main(params):
    time.sleep(1.0)
    shutil.copytree("tiny", "artifacts", dirs_exist_ok=True)
    card = Path("artifacts/export/card.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"number": number}))
    return Record(metrics={"number": float(number)}, artifacts=[card])


main()
"""
_STAGES = {
    "prepare": {
        "cmd": "python prepare.py",
        "deps": ["data/mine", "prepare.py", "tiny", NUMBER.as_posix()],
        "params": ["data"],
        "outs": ["artifacts/export", "artifacts/features", "artifacts/splits.parquet", "artifacts/manifest.parquet",
                 "artifacts/protocol", "artifacts/runs/prepare.json"],
    },
    "register": STAGE,
}  # fmt: skip
STAGES = tuple(_STAGES)


def make_chaos(root: Path, world: Any) -> Path:
    """The project, committed, with number 0; `world` as for `make_scheduled`. Its data, ../first, are to be added."""
    make_scheduled(root, world)
    (root / "export_tiny.py").unlink()
    (root / "prepare.py").write_text(_PREPARE)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": _STAGES}))
    weights = root / yaml.safe_load((root / "params.yaml").read_text())["backbone"]["weights"]
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"")
    set_number(root, 0)
    return root


def set_number(root: Path, number: int) -> None:
    """Change what every stage depends on, and commit it for runs in a checkout."""
    (root / NUMBER).write_text(str(number))
    commit(root, f"number {number}")


def number_of(root: Path) -> int:
    """The number that the outputs were made with."""
    return int(json.loads((root / "artifacts" / "export" / "card.json").read_text())["number"])
