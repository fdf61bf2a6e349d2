"""`croft use` as a command: what it writes, what it prints, what it refuses; the file is whole whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "params.yaml").read_text(encoding="utf-8")

Croft = Callable[..., "subprocess.Popen[str]"]


def run(croft: Croft, root: Path, *arguments: str) -> tuple[int, str, str]:
    process = croft(root, "use", *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_pacs_and_back(tmp_path: Path, croft: Croft) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(SHIPPED, encoding="utf-8")
    code, out, err = run(croft, tmp_path, "pacs", "--dry-run")
    assert (code, err) == (0, "")
    assert params.read_text(encoding="utf-8") == SHIPPED
    assert "finetune.lr          0.05" in out
    assert "Would be" in out
    code, out, err = run(croft, tmp_path, "pacs")
    assert (code, err) == (0, "")
    content = yaml.safe_load(params.read_text(encoding="utf-8"))
    assert content["data"]["root"] == "data/pacs"
    assert content["finetune"]["lr"] == 0.002
    assert "croft data add PATH --name pacs --benchmark pacs\n" in out
    assert "croft backbone add ViT-B-32-quickgelu openai --name vit-b-32\n" in out
    assert out.endswith("  croft run\n")
    (tmp_path / "data/pacs/open_sets/dtd").mkdir(parents=True)
    code, out, err = run(croft, tmp_path, "pacs")
    assert "0 keys changed" in out
    assert "croft data add PATH --name pacs --benchmark pacs" not in out
    assert "--open-set dtd" not in out
    assert "croft data add PATH --name pacs --open-set food101 --benchmark food101  (optional)\n" in out
    run(croft, tmp_path, "digits")
    assert params.read_text(encoding="utf-8") == SHIPPED


def test_a_folder(tmp_path: Path, croft: Croft) -> None:
    (tmp_path / "params.yaml").write_bytes(SHIPPED.replace("\n", "\r\n").encode())
    for domain in ("day", "night"):
        for name in ("owl", "fox"):
            (tmp_path / "photos" / domain / name).mkdir(parents=True)
            for index in range(4):
                (tmp_path / "photos" / domain / name / f"{index}.jpg").write_bytes(b"x")
    code, out, err = run(croft, tmp_path, "folder", "photos", "--name", "animals")
    assert (code, err) == (0, "")
    assert "folder: photos: 16 images, 2 domains (day, night), 2 classes\n" in out
    assert "croft data add photos --name animals\n" in out
    written = (tmp_path / "params.yaml").read_bytes()
    assert written.count(b"\n") == written.count(b"\r\n")
    assert yaml.safe_load(written)["split"]["shots"] == 3  # of 4, one validates


def test_a_folder_with_parts_is_one_domain_unless_domains_says_otherwise(tmp_path: Path, croft: Croft) -> None:
    (tmp_path / "params.yaml").write_text(SHIPPED, encoding="utf-8")
    for part, count in (("train", 20), ("val", 9), ("test", 30)):
        for name in ("owl", "fox"):
            (tmp_path / "split" / part / name).mkdir(parents=True)
            for index in range(count):
                (tmp_path / "split" / part / name / f"{index}.jpg").write_bytes(b"x")
    (tmp_path / "split/readme.txt").touch()
    code, out, err = run(croft, tmp_path, "folder", "split", "--dry-run")
    assert (code, err) == (0, "")
    assert out.startswith(
        "folder: split: 118 images, 1 domain (split), 2 classes\n"
        "split: class/image, taken as the domain 'split'\n"
        "train, val and test are parts, not domains; files are named after them; --domains takes them as domains\n"
        "taken: 118 images, 1 domain (split), 2 classes, parts: train 40, val 18, test 60\n"
        "left out, not images: 1: readme.txt\n"
    )
    assert "Note: one domain only (split): accuracy on an unseen domain cannot be measured\n" in out
    assert "croft data add split --name split\n" in out
    code, out, err = run(croft, tmp_path, "folder", "split", "--domains")
    assert (code, err) == (0, "")
    assert "taken: 118 images, 3 domains (test, train, val), 2 classes\n" in out
    assert "croft data add split --name split --domains\n" in out


def test_folders_in_the_workspace_are_put_on_record_as_domains(tmp_path: Path, croft: Croft) -> None:
    (tmp_path / "params.yaml").write_text(SHIPPED, encoding="utf-8")
    for part in ("train", "test"):
        for name in ("owl", "fox"):
            (tmp_path / "data/split" / part / name).mkdir(parents=True)
            for index in range(4):
                (tmp_path / "data/split" / part / name / f"{index}.jpg").write_bytes(b"x")
    code, out, err = run(croft, tmp_path, "folder", "data/split", "--domains")
    assert (code, err) == (0, "")
    assert "  croft data add data/split --name split --domains\n" in out  # without which ingest refuses it
    (tmp_path / "data/split.versions.yaml").touch()
    code, out, err = run(croft, tmp_path, "folder", "data/split")
    assert (code, err) == (0, "")
    assert "2 domains (test, train)" in out
    assert "croft data add" not in out


def test_a_table_and_its_columns(tmp_path: Path, croft: Croft) -> None:
    (tmp_path / "params.yaml").write_text(SHIPPED, encoding="utf-8")
    (tmp_path / "my birds").mkdir()
    rows = [(f"{index:03}", ("owl", "fox")[index % 2], ("day", "night")[index // 8]) for index in range(16)]
    for stem, _, _ in rows:
        (tmp_path / "my birds" / f"{stem}.jpg").write_bytes(stem.encode())
    text = "id,breed,light\n" + "".join(f"{','.join(row)}\n" for row in rows)
    (tmp_path / "my birds/labels.csv").write_text(text)
    code, out, err = run(croft, tmp_path, "folder", "my birds/labels.csv")
    expected = (
        "no column of paths; found: id, breed, light; expected one of path, file_name, or name it with --path-column"
    )
    assert (code, out, err) == (2, "", f"error: my birds/labels.csv: {expected}\n")
    columns = ["--path-column", "id", "--class-column", "breed", "--domain-column", "light"]
    code, out, err = run(croft, tmp_path, "folder", "my birds/labels.csv", *columns)
    assert (code, err) == (0, "")
    assert "folder: my birds/labels.csv: 16 images, 2 domains (day, night), 2 classes\n" in out
    assert f"  croft data add 'my birds/labels.csv' --name labels {' '.join(columns)}\n" in out
    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["data"]["root"] == "data/labels"
    (tmp_path / "my birds/labels.csv").rename(tmp_path / "labels.csv")
    code, out, err = run(croft, tmp_path, "folder", "labels.csv", *columns, "--images", "my birds", "--name", "pets")
    assert (code, err) == (0, "")
    assert f"  croft data add labels.csv --name pets --images 'my birds' {' '.join(columns)}\n" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["pasc"], "error: pasc: no such preset; did you mean 'pacs'?\n"),
        (["folder"], "error: folder: expected a path: croft use folder PATH\n"),
        (
            ["pacs", "photos"],
            "error: pacs: only `croft use folder PATH` takes a path, a name and options of a source\n",
        ),
        (
            ["pacs", "--class-column", "breed"],
            "error: pacs: only `croft use folder PATH` takes a path, a name and options of a source\n",
        ),
        (["folder", "photos"], "error: photos: no such file or folder\n"),
    ],
)
def test_wrong_arguments_change_nothing(tmp_path: Path, croft: Croft, arguments: list[str], named: str) -> None:
    (tmp_path / "params.yaml").write_text(SHIPPED, encoding="utf-8")
    assert run(croft, tmp_path, *arguments) == (2, "", named)
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8") == SHIPPED


def test_a_file_that_would_be_refused_is_left_as_it_is_but_a_typo_is_kept_and_named(
    tmp_path: Path, croft: Croft
) -> None:
    params = tmp_path / "params.yaml"
    wrong = SHIPPED.replace("  accept: 0.95", "  accept: 7.0")
    assert wrong != SHIPPED
    params.write_text(wrong, encoding="utf-8")
    code, out, err = run(croft, tmp_path, "pacs")
    assert (code, out) == (2, "")
    expected = "error: params.yaml: not changed, since a run would refuse it with this preset: export.accept"
    assert err.startswith(expected)
    assert params.read_text(encoding="utf-8") == wrong
    misspelt = SHIPPED.replace("\n    croft:", "\n    mine: {kind: linear-prob}\n    croft:")
    assert misspelt != SHIPPED
    params.write_text(misspelt, encoding="utf-8")
    code, out, err = run(croft, tmp_path, "digits")
    assert (code, out) == (2, "")
    assert "not changed, since a run would refuse it with this preset: finetune.methods.mine: unknown kind" in err
    assert params.read_text(encoding="utf-8") == misspelt
    params.write_text(SHIPPED.replace("  bins: 40", "  bin: 41"), encoding="utf-8")
    code, out, err = run(croft, tmp_path, "vlcs")
    assert (code, err) == (0, "")
    assert "Unknown keys, kept as they are, but a run refuses them (`croft params`): evaluate.bin\n" in out
    assert "  bin: 41" in params.read_text(encoding="utf-8")
