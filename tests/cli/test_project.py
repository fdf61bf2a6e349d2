"""`croft` in a folder below the project."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from pipeline.cli.project import find_project

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "params.yaml").read_text(encoding="utf-8")

Project = Callable[[dict[str, dict[str, object]]], Path]
Croft = Callable[..., "subprocess.Popen[str]"]


def run(croft: Croft, folder: Path, *arguments: str) -> tuple[int, str, str]:
    out, err = (process := croft(folder, *arguments)).communicate(timeout=120)
    return process.returncode, out, err


def test_the_nearest_folder_with_both_files_is_the_project(tmp_path: Path) -> None:
    outer, inner, deep = tmp_path, tmp_path / "a/project", tmp_path / "a/project/x/y"
    deep.mkdir(parents=True)
    assert find_project(deep) == deep
    for folder in (outer, inner):
        (folder / "dvc.yaml").touch()
        (folder / "params.yaml").touch()
    (deep / "params.yaml").touch()  # as `croft sweep` leaves one in artifacts/sweep
    (deep.parent / "dvc.yaml").touch()  # as in data/builtin
    assert find_project(deep) == inner
    assert find_project(inner) == inner
    assert find_project(inner.parent) == outer


def test_a_command_in_a_folder_below_works_in_the_project(project: Project, croft: Croft) -> None:
    root = project({})
    below = root / "notes/old"
    for domain in ("day", "night"):
        for name in ("owl", "fox"):
            (below / "photos" / domain / name).mkdir(parents=True)
            for index in range(4):
                (below / "photos" / domain / name / f"{index}.jpg").write_bytes(b"x")
    at_root = run(croft, root, "params")
    assert at_root[0] == 0
    assert run(croft, below, "params") == (*at_root[:2], f"Project: {root}\n")
    for path in ("photos", "../old/photos", str(below / "photos")):
        (root / "params.yaml").write_text(SHIPPED, encoding="utf-8")
        code, out, err = run(croft, below, "use", "folder", path, "--name", "animals")
        assert (code, err) == (0, f"Project: {root}\n")
        shown = path if path.startswith("/") else f"notes/old/{path}"
        assert f"folder: {shown}: 16 images, 2 domains (day, night), 2 classes\n" in out
        assert f"croft data add {shown} --name animals\n" in out  # to be typed in the project's folder
        assert yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["data"]["root"] == "data/animals"
    assert not (below / "params.yaml").exists()


def test_a_weights_file_is_looked_for_where_it_was_named(project: Project, croft: Croft) -> None:
    root = project({})
    (root / "notes").mkdir()
    (root / "notes" / "mine.bin").write_bytes(b"no weights")
    code, _, err = run(croft, root / "notes", "backbone", "add", "ViT-B-32", "mine.bin", "--name", "x")
    assert code == 2
    assert err.splitlines()[0] == f"Project: {root}"
    assert err.splitlines()[1].startswith("error: notes/mine.bin: ")
