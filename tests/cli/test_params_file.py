"""params.yaml as editors and people leave it: DVC and `croft` read the same values."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]
BOM = b"\xef\xbb\xbf"


def dvc(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("mark", [b"", BOM])
def test_dvc_records_1e_3_as_the_number_that_croft_reads(project: Project, croft: Croft, mark: bytes) -> None:
    root = project({"one": {"cmd": "echo 1 > one.txt", "params": ["finetune.lr"], "outs": ["one.txt"]}})
    params = root / "params.yaml"
    text = params.read_text(encoding="utf-8").replace("  lr: 0.05 ", "  lr: 1e-3 ")
    params.write_bytes(mark + text.encode())
    dvc(root, "repro")
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    assert lock["stages"]["one"]["params"] == {"params.yaml": {"finetune.lr": 0.001}}
    out, err = (process := croft(root, "params")).communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert yaml.safe_load(out)["finetune"]["lr"] == 0.001
    params.write_text(text.replace("  lr: 1e-3 ", "  lr: 0.001 "), encoding="utf-8")
    assert json.loads(dvc(root, "status", "--json")) == {}


def test_croft_use_edits_a_file_with_a_byte_order_mark(project: Project, croft: Croft) -> None:
    root = project({})
    params = root / "params.yaml"
    shipped = params.read_bytes()
    params.write_bytes(BOM + shipped)
    _, err = (process := croft(root, "use", "pacs")).communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert yaml.safe_load(params.read_text(encoding="utf-8"))["data"]["root"] == "data/pacs"
    _, err = (process := croft(root, "use", "digits")).communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert params.read_bytes() == shipped
