"""Predictions of a graph whose numbers are computed by hand: logits are 20 * mean colour in [0, 1]."""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.errors import CheckpointError, DataError
from pipeline.images import FORMATS, readable
from pipeline.serving.predictor import Predictor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor(folder, device="cpu", threads=1)


def png(colour: tuple[int, ...], size: tuple[int, int] = (12, 9), mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, format="PNG")
    return stream.getvalue()


def test_numbers_by_hand(predictor: Predictor) -> None:
    done = predictor.predict([png((255, 0, 0)), png((0, 0, 0)), png((0, 51, 255))])
    # Red: logits (20, 0, 0). p = e^20 / (e^20 + 2), score = -ln(e^20 + 2), below the threshold of -10.5: known.
    # Black: logits 0. p = 1/3, score = -ln 3, above the threshold: unknown.
    # Blue: logits (0, 4, 20).
    blue = math.exp(20) + math.exp(4) + 1
    np.testing.assert_allclose(
        done.probabilities,
        [
            [math.exp(20) / (math.exp(20) + 2), 1 / (math.exp(20) + 2), 1 / (math.exp(20) + 2)],
            [1 / 3, 1 / 3, 1 / 3],
            [1 / blue, math.exp(4) / blue, math.exp(20) / blue],
        ],
        rtol=1e-5,
    )
    np.testing.assert_allclose(done.score, [-math.log(math.exp(20) + 2), -math.log(3), -math.log(blue)], rtol=1e-6)
    assert done.unknown.tolist() == [False, True, False]
    assert done.labels == ["red", "unknown", "blue"]
    assert done.most_probable == ["red", "red", "blue"]


def test_the_most_probable_classes_by_hand(predictor: Predictor) -> None:
    done = predictor.predict([png((0, 51, 255)), b"", png((9, 9, 9))])  # logits (0, 4, 20); none; three that are equal
    blue, none, equal = done.top(2)
    total = math.exp(20) + math.exp(4) + 1
    assert [name for name, _ in blue] == ["blue", "green"]
    np.testing.assert_allclose([value for _, value in blue], [math.exp(20) / total, math.exp(4) / total], rtol=1e-5)
    assert none == []
    assert [name for name, _ in equal] == ["red", "green"]  # of equals, the first
    assert [len(best) for best in done.top(9)] == [3, 0, 3]
    with pytest.raises(DataError, match="top: expected 1 or more, found 0"):
        done.top(0)


@pytest.mark.parametrize("batch", [1, 2, 7, 33])
def test_the_size_of_batches_changes_no_answer(folder: Path, predictor: Predictor, batch: int) -> None:
    images = [png((level, 255 - level, level // 2), (8, 8)) for level in range(0, 256, 7)]
    small = Predictor(folder, device="cpu", threads=1, batch=batch)
    assert small.executed == predictor.executed
    np.testing.assert_allclose(small.predict(images).score, predictor.predict(images).score, rtol=1e-6)


@pytest.mark.parametrize("option", ["threads", "batch"])
def test_options_below_one_are_refused(folder: Path, option: str) -> None:
    with pytest.raises(DataError, match=f"{option}: expected 1 or more, found 0"):
        Predictor(folder, device="cpu", **{option: 0})  # type: ignore[arg-type]


def test_bytes_paths_pillow_images_and_arrays_give_the_same(predictor: Predictor, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    image = Image.fromarray(noise)  # with transparency: over white everywhere
    path = tmp_path / "image.png"
    image.save(path)
    content = path.read_bytes()
    forms = [content, bytearray(content), memoryview(content), path, str(path), image, noise]
    done = predictor.predict(forms)
    assert done.errors == ("",) * len(forms)
    assert set(done.score) == {done.score[0]}
    lines = noise[::2, :, :3]  # not contiguous
    done = predictor.predict(
        [lines, Image.fromarray(lines.copy()), lines[:, :, 0], Image.fromarray(lines[:, :, 0].copy())]
    )
    assert done.score[0] == done.score[1] != done.score[2] == done.score[3]
    assert predictor.predict(np.stack([lines, lines])).score.tolist() == [done.score[0]] * 2


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_of_the_table_is_answered(predictor: Predictor, format_: str) -> None:
    readable()  # registers the encoder of HEIC
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (0, 0, 255)).save(stream, format_)
    done = predictor.predict([stream.getvalue()])
    assert (done.labels, done.errors) == (["blue"], ("",))


def test_files_with_large_metadata_or_without_their_end_are_answered(predictor: Predictor) -> None:
    large, cut = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (20, 20), (0, 0, 255)).save(large, "PNG", icc_profile=bytes(3 * 2**20))
    Image.new("RGB", (20, 20), (0, 0, 255)).save(cut, "JPEG")
    done = predictor.predict([large.getvalue(), cut.getvalue()[:-2]])
    assert (done.labels, done.errors) == (["blue", "blue"], ("", ""))


def test_a_bad_image_has_an_error_and_the_others_their_answers(predictor: Predictor) -> None:
    images: list[object] = [png((level, 0, 0), (8, 8)) for level in range(150)]  # over three batches
    bad = [0, 70, *range(128, 150)]  # the last batch has no good one
    for row in bad:
        images[row] = b"no image"
    done = predictor.predict(images)  # type: ignore[arg-type]
    assert [row for row, error in enumerate(done.errors) if error] == bad
    assert done.errors[70].startswith("image 70: not an image of a known format")
    expected = [math.nan if row in bad else -math.log(math.exp(20 * row / 255) + 2) for row in range(150)]
    np.testing.assert_allclose(done.score, expected, rtol=1e-5)
    assert np.isnan(done.probabilities[bad]).all()
    assert [row for row, label in enumerate(done.labels) if label is None] == bad
    assert done.most_probable[0] is None
    assert not done.unknown[bad].any()


@pytest.mark.parametrize("images", [b"content", "photo.png", Path("photo.png"), np.zeros((9, 9, 3), np.uint8)])
def test_one_image_in_place_of_a_list_is_refused(predictor: Predictor, images: object) -> None:
    with pytest.raises(DataError, match=f"expected a list or an array .*, found one {type(images).__name__}"):
        predictor.predict(images)  # type: ignore[arg-type]


def test_another_word_for_on_error_is_refused(predictor: Predictor) -> None:
    with pytest.raises(DataError, match="on_error: expected report or raise, found 'skip'"):
        predictor.predict([], "skip")  # type: ignore[arg-type]


def test_many_images_are_split_into_batches_and_none_is_fine(predictor: Predictor) -> None:
    levels = [number % 256 for number in range(150)]
    done = predictor.predict([png((level, 0, 0), (8, 8)) for level in levels])
    expected = [-math.log(math.exp(20 * level / 255) + 2) for level in levels]
    np.testing.assert_allclose(done.score, expected, rtol=1e-5)
    nothing = predictor.predict([])
    assert nothing.probabilities.shape == (0, 3)
    assert nothing.score.shape == nothing.unknown.shape == (0,)
    assert nothing.labels == []


def test_threads_may_share_a_predictor(predictor: Predictor) -> None:
    images = [png((level, 255 - level, 0), (8, 8)) for level in range(0, 256, 15)]
    alone = [predictor.predict([image]).score[0] for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: predictor.predict([image]).score[0], images))
    assert together == alone


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"not an image", "image 1: not an image of a known format"),
        (b"", "image 1: not an image"),
        (png((1, 2, 3), (40, 40))[:60], "image 1: damaged image"),
        (Path("/nowhere/there.png"), "/nowhere/there.png: no such file"),
        (png((1, 2, 3), (2000, 1)), "image 1: 2000 x 1 pixels, a strip"),
        (png((1, 2, 3), (500, 500)), "image 1: 500 x 500 pixels"),
        (Image.new("RGB", (500, 500)), "image 1: 500 x 500 pixels"),
        (b"x" * 20_001, "image 1: 20001 bytes, more than the allowed 20000"),
        ("/nowhere/there.png", "/nowhere/there.png: no such file"),
        (Path("/dev"), "/dev: not a file"),
        (7, "image 1: expected bytes, a path, a Pillow image or an array, found int"),
        (
            np.zeros((9, 9, 3)),
            "image 1: an array of float64 of shape (9, 9, 3); expected uint8 of shape (height, width)",
        ),
        (np.zeros((3, 9, 9), np.uint8), "image 1: an array of uint8 of shape (3, 9, 9); expected"),
        (np.zeros((0, 9), np.uint8), "image 1: an array of uint8 of shape (0, 9); expected"),
        (np.zeros((500, 500), np.uint8), "image 1: 500 x 500 pixels"),
    ],
)
def test_a_bad_image_is_named(folder: Path, image: object, message: str) -> None:
    small = Predictor(folder, device="cpu", threads=1, max_bytes=20_000, max_pixels=100_000)
    with pytest.raises(DataError) as caught:
        small.predict([png((0, 0, 0)), image], "raise")  # type: ignore[list-item]
    assert str(caught.value).startswith(message)
    done = small.predict([png((0, 0, 0)), image])  # type: ignore[list-item]
    assert done.errors == ("", str(caught.value))
    assert done.labels == ["unknown", None]


def test_a_lazily_opened_damaged_file_is_named(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    path.write_bytes(png((1, 2, 3), (40, 40))[:60])
    with Image.open(path) as image, pytest.raises(DataError, match="image 0: damaged image"):
        predictor.predict([image], "raise")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"classes": ["red", "green"]}, CheckpointError, "does not fit its card"),
        ({"image_size": 16}, CheckpointError, "does not fit its card"),
        ({"classes": []}, DataError, "classes"),
        ({"classes": "red"}, DataError, "classes"),
        ({"image_size": 0}, DataError, "image_size"),
        ({"threshold": None}, DataError, "threshold"),
        ({"threshold": float("nan")}, DataError, "threshold"),
        ({"format": 2}, DataError, "format"),
    ],
)
def test_a_wrong_card_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    card = tmp_path / "card.json"
    card.write_text(json.dumps({**json.loads((folder / "card.json").read_text()), **change}))
    with pytest.raises(error, match=message):
        Predictor(graph=folder / "model.onnx", card=card, device="cpu")


def test_missing_parts_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"card\.json: no such file"):
        Predictor(tmp_path)
    with pytest.raises(CheckpointError, match=r"gone\.onnx: no such file"):
        Predictor(graph=tmp_path / "gone.onnx", card=folder / "card.json")
    with pytest.raises(DataError, match="expected a folder"):
        Predictor()
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(DataError, match="not readable JSON"):
        Predictor(tmp_path)


def test_the_page_of_prediction_runs_as_it_stands(folder: Path, tmp_path: Path) -> None:
    root = Path(pipeline.__file__).parents[1]
    code = (root / "docs/prediction.md").read_text(encoding="utf-8").split("```python\n")[2].split("```")[0]
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/export").symlink_to(folder)
    (tmp_path / "photo.png").write_bytes(png((255, 0, 0)))
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['red', 'red'] ")
    assert done.stdout.rstrip().endswith("('', '')")


def test_nothing_heavy_is_imported(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.serving.predictor import Predictor; from PIL import Image;"
        "Predictor(Path(sys.argv[1]), device='auto').predict([Image.new('RGB', (9, 9))]);"
        "print([n for n in ('torch', 'open_clip', 'onnx', 'pandas', 'mlflow', 'pipeline.tables') if n in sys.modules])"
    )
    root = Path(pipeline.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
