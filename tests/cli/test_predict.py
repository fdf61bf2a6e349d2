"""`croft predict` as a process: outputs that other programs read, exit statuses, memory, and how it is interrupted."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
Croft = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A red, a blue and a black image, and a file that is none; two names are hard to write down."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, colour in (
        ("red, or not.png", (255, 0, 0)),
        ("blue\nline.png", (0, 0, 255)),
        ("odd\udcff.png", (0, 0, 0)),
    ):
        Image.new("RGB", (12, 9), colour).save(os.fsencode(folder / name), "PNG")
    (folder / "bad.jpg").write_text("no image")
    return folder


def start(*arguments: object, cwd: Path) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "CROFT"))}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "predict", *map(os.fsencode, map(str, arguments))],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(*arguments: object, cwd: Path, status: int = 0) -> tuple[str, str]:
    process = start(*arguments, "--device", "cpu", cwd=cwd)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err.decode()
    return out.decode(), err.decode()


def check(rows: list[dict[str, object]], model: Path) -> None:
    """Red: logits (20, 0, 0), score -ln(e^20 + 2). Black: logits 0, score -ln 3, above the threshold of -10.5."""
    by_name = {Path(str(row["path"])).name: row for row in rows}
    assert sorted(by_name) == ["bad.jpg", "blue\nline.png", "odd\\xff.png", "red, or not.png"]
    red, black, bad = by_name["red, or not.png"], by_name["odd\\xff.png"], by_name["bad.jpg"]
    assert (red["label"], red["class"], red["unknown"], red["error"]) == ("red", "red", False, None)
    assert red["probability"] == pytest.approx(math.exp(20) / (math.exp(20) + 2))
    assert red["score"] == pytest.approx(-math.log(math.exp(20) + 2), rel=1e-5)
    assert (black["label"], black["class"], black["unknown"]) == ("unknown", "red", True)
    assert black["probability"] == pytest.approx(1 / 3)
    assert by_name["blue\nline.png"]["label"] == "blue"
    assert "bad.jpg: not an image of a known format" in str(bad["error"])
    assert [bad[name] for name in ("label", "class", "probability", "score", "unknown")] == [None] * 5
    assert {row["model"] for row in rows} == {name_of(model)}


def name_of(model: Path) -> str:
    """Of files that no registry has: the first 12 digits of the graph's SHA-256."""
    return f"croft/{hashlib.sha256((model / 'model.onnx').read_bytes()).hexdigest()[:12]}"


def test_json_lines(images: Path, model: Path, tmp_path: Path) -> None:
    out, err = run(images, "--model", model, "--json", "--top", 2, cwd=tmp_path, status=1)
    rows = [json.loads(line) for line in out.splitlines()]
    check(rows, model)
    red = next(row for row in rows if row["label"] == "red")
    assert [entry["class"] for entry in red["top"]] == ["red", "green"]
    assert "3 images answered, 1 unknown, 1 error" in err
    assert f"Model: {name_of(model)} ({model / 'model.onnx'}), on CPU (" in err
    assert "bad.jpg: not an image" in err


def test_csv(images: Path, model: Path, tmp_path: Path) -> None:
    out, _ = run(images, "--model", model, "--csv", "--out", "o.csv", "--top", 1, cwd=tmp_path, status=1)
    assert "3 images answered" in out
    rows: list[dict[str, object]] = []
    for row in csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text(encoding="utf-8"), newline="")):
        assert row["top1"] == row["class"]
        assert row["top1_probability"] == row["probability"]
        read: dict[str, object] = {name: value or None for name, value in row.items()}
        if row["label"]:
            read |= {
                "unknown": row["unknown"] == "true",
                "probability": float(row["probability"]),
                "score": float(row["score"]),
            }
        rows.append(read)
    check(rows, model)


def test_parquet(images: Path, model: Path, tmp_path: Path) -> None:
    run(images, "--model", model / "model.onnx", "--parquet", "o.parquet", "--top", 9, cwd=tmp_path, status=1)
    rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
    check(rows, model)
    assert {len(row["top"]) for row in rows} == {0, 3}
    assert [path.name for path in tmp_path.iterdir() if "parquet" in path.name] == ["o.parquet"]


def test_the_terminal_has_a_table_and_no_raw_names(images: Path, model: Path, tmp_path: Path) -> None:
    out, err = run(images, "--model", model, cwd=tmp_path, status=1)
    assert "blue\\x0aline.png" in "".join(part.strip() for part in out.splitlines())
    assert "3 images answered, 1 unknown, 1 error" in out
    assert "\udcff" not in out + err
    many = tmp_path / "many.txt"
    many.write_text("images/red, or not.png\n" * 30)
    out, _ = run(many, "--model", model, cwd=tmp_path)
    assert out.split()[:2] == ["30", "red"]


def test_copies_are_sorted(images: Path, model: Path, tmp_path: Path) -> None:
    _, err = run(images, images, "--model", model, "--copy-to", "images/sorted", cwd=tmp_path, status=1)
    assert "6 images copied to images/sorted" in err
    copies = sorted(str(path.relative_to(images / "sorted")) for path in (images / "sorted").rglob("*.png"))
    assert copies == [
        "blue/blue_line-1.png",
        "blue/blue_line.png",
        "red/red, or not-1.png",
        "red/red, or not.png",
        "unknown/odd_xff-1.png",
        "unknown/odd_xff.png",
    ]
    assert (images / "sorted/red/red, or not.png").read_bytes() == (images / "red, or not.png").read_bytes()
    _, err = run(images, "--model", model, "--copy-to", "images/sorted", cwd=tmp_path, status=2)
    assert err.splitlines()[-1].startswith("error: images/sorted: not empty")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png"], "error: nowhere.png: no such file or folder"),
        (["images", "--json", "--csv"], "error: --json, --csv, --parquet: expected one of them"),
        (["images", "--out", "x"], "error: --out x: expected --json or --csv"),
        (["images", "--csv", "--out", "images"], "error: --out images: a folder"),
        (["images", "--model", "gone/model.onnx"], "error: --model gone/model.onnx: expected a version number"),
        (["images", "--model", "images"], "error: --model images: expected a version number"),
        (
            ["images"],
            "error: params.yaml: no such file; run this in the project's folder or below it; for files: --model",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    images: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    out, err = run(*arguments, cwd=tmp_path, status=2)
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_without_a_champion_it_says_what_to_do(images: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    _, err = run("images", cwd=tmp_path, status=2)
    assert "promote a version: croft promote; for files: --model artifacts/export" in err.splitlines()[-1]


def linked(folder: Path, count: int, size: int = 12) -> Path:
    """One image under many names."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "0.png")
    for number in range(1, count):
        os.link(folder / "0.png", folder / f"{number}.png")
    return folder


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_images(model: Path, tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from pipeline.cli.predict import Output, Settings, predict_files\n"
        "output = Output(parquet=Path(sys.argv[1] + '.parquet'))\n"
        "assert predict_files([Path(sys.argv[1])], output, Settings(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    peaks = []
    # Both fill at least one row group of Parquet.
    for count in (12_000, 40_000):
        folder = linked(tmp_path / str(count), count)
        command = [sys.executable, "-c", code, str(folder), str(model)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
        peaks.append(float(done.stdout.splitlines()[-1]))
        assert pq.read_metadata(f"{folder}.parquet").num_rows == count
    print("peak MB:", peaks)
    assert peaks[1] < peaks[0] + 12, peaks


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_ends_quickly_and_leaves_no_file(
    model: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    linked(tmp_path / "images", 2000, size=600)
    process = start("images", "--model", model, "--csv", "--out", "o.csv", cwd=tmp_path)
    until = time.monotonic() + 60
    while not any(path.stat().st_size > 10_000 for path in tmp_path.glob(".o.csv.*")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(number)
    sent = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == status
    assert time.monotonic() - sent < 5
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_reader_that_has_read_enough_ends_it_quietly(model: Path, tmp_path: Path) -> None:
    linked(tmp_path / "images", 3000)
    process = start("images", "--model", model, "--json", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    json.loads(process.stdout.readline())
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "Traceback" not in err
