"""The Hugging Face folder: its graphs answer as ours do, on pixels that its own configuration prepares."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from pipeline.detection.scores.spaces import option_of
from pipeline.errors import CheckpointError, DataError
from pipeline.export.floats import float_graph
from pipeline.export.graph import Deciding, DeployedModel, export_onnx
from pipeline.export.huggingface import write_hf
from pipeline.export.variants import to_int8
from pipeline.fits import Head
from pipeline.serving.predictor import Predictor
from pipeline.serving.session import make_session

MEAN, STD, SIZE, CLASSES = (0.48, 0.45, 0.40), (0.27, 0.26, 0.28), 32, 5


@pytest.fixture(scope="module")
def folder(module: DeployedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a temperature, an embedding, external weights, adapters and int8."""
    folder = tmp_path_factory.mktemp("export")
    arrays = {name: module.get_buffer(name).numpy() for name in module.names}
    head = Head(module.kind, arrays, module.scalars)
    deciding = Deciding(option_of("energy"), threshold=-31.0, temperature=2.5)
    model = DeployedModel(module.visual, head, mean=MEAN, std=STD, deciding=deciding)
    (folder / "extras").mkdir()
    graph, int8 = folder / "model.onnx", folder / "extras" / "model.int8.onnx"
    export_onnx(model, SIZE, graph, embedding=True, external="extras/model.onnx.data", external_bytes=1000)
    to_int8(graph, int8)
    save_file(arrays, folder / "extras" / "head.safetensors", metadata={"kind": module.kind})
    card = {
        "format": 1, "classes": [f"class {row}" for row in range(CLASSES)], "image_size": SIZE, "threshold": -31.0,
        "mean": MEAN, "std": STD, "score": {"name": "energy"},
        "variants": {"int8": {"sha256": hashlib.sha256(int8.read_bytes()).hexdigest()}},
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def write(folder: Path, target: Path, **options: Any) -> list[str]:
    return write_hf(target, graph=folder / "model.onnx", card=folder / "card.json", readme="# A model\n", **options)


def pictures() -> list[Image.Image]:
    """Smooth ones and noise, of other shapes than the graph's.

    What is cut off is an even number of pixels: of an odd one, CLIPImageProcessor leaves the larger part on the right,
    and the model's own transform rounds to the even side.
    """
    drawn = []
    for number, (width, height) in enumerate([(45, 60), (66, 33), (32, 32), (200, 100)]):
        noise = np.random.default_rng(number).integers(0, 256, (4 + 40 * (number % 2), 5, 3), dtype=np.uint8)
        drawn.append(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))
    return drawn


def prepared(image: Image.Image, config: dict[str, Any]) -> np.ndarray:
    """What Transformers' documentation of CLIPImageProcessor says of these keys, in Pillow and NumPy: (3, S, S)."""
    short, crop = config["size"]["shortest_edge"], config["crop_size"]
    scale = short / min(image.size)
    width, height = (short if side == min(image.size) else int(side * scale) for side in image.size)
    resized = image.convert("RGB").resize((width, height), config["resample"])
    left, top = (width - crop["width"]) // 2, (height - crop["height"]) // 2
    pixels = np.asarray(resized.crop((left, top, left + crop["width"], top + crop["height"])), np.float64)
    return ((pixels * config["rescale_factor"] - config["image_mean"]) / config["image_std"]).transpose(2, 0, 1)


@pytest.mark.parametrize("external_bytes", [2**31, 1000])
def test_the_float_graphs_answer_as_the_graphs_they_were_cut_from(
    folder: Path, tmp_path: Path, external_bytes: int
) -> None:
    files = write(folder, tmp_path / "hf", external_bytes=external_bytes)
    weights = ["onnx/model.onnx_data", "onnx/model_quantized.onnx_data"] if external_bytes == 1000 else []
    assert files == sorted(
        [
            "README.md", "config.json", "croft/card.json", "croft/extras/model.onnx.data", "croft/model.onnx",
            "model.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx", "preprocessor_config.json", *weights,
        ]
    )  # fmt: skip
    processor = json.loads((tmp_path / "hf" / "preprocessor_config.json").read_text())
    pixels = np.stack([prepared(image, processor) for image in pictures()]).astype(np.float32)
    ours = Predictor(tmp_path / "hf" / "croft", device="cpu")
    expected = ours.predict(pictures())
    session = make_session(tmp_path / "hf" / "onnx" / "model.onnx", "cpu")
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("pixel_values", "tensor(float)", [3, SIZE, SIZE])
    assert [port.name for port in session.get_outputs()] == ["logits", "score", "unknown", "embedding"]
    for count in (1, len(pixels)):  # the batch is free
        logits, score, unknown, embedding = session.run(None, {"pixel_values": pixels[:count]})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities, expected.probabilities[:count], atol=1e-4)
        np.testing.assert_allclose(score, expected.score[:count], atol=1e-3)  # around 30
        np.testing.assert_array_equal(unknown, expected.unknown[:count])
        assert embedding.shape == (count, 32)
    whole = make_session(folder / "extras" / "model.int8.onnx", "cpu")
    cut = make_session(tmp_path / "hf" / "onnx" / "model_quantized.onnx", "cpu")
    squares = np.stack([ours.pixels(image, "") for image in pictures()])
    (known,) = whole.run(["probabilities"], {"images": squares})
    (logits,) = cut.run(["logits"], {"pixel_values": pixels})
    np.testing.assert_array_equal(logits.argmax(axis=1), known.argmax(axis=1))


def test_configurations_have_the_documented_keys(folder: Path, tmp_path: Path) -> None:
    write(folder, tmp_path / "hf", external_bytes=1000)
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    names = [f"class {row}" for row in range(CLASSES)]
    assert config["id2label"] == {str(row): name for row, name in enumerate(names)}
    assert config["label2id"] == {name: row for row, name in enumerate(names)}
    assert (config["model_type"], config["image_size"], config["num_channels"]) == ("vit", SIZE, 3)
    assert config["transformers.js_config"] == {"use_external_data_format": True}
    assert config["croft"] == {"threshold": -31.0, "score": {"name": "energy"}}
    processor = json.loads((tmp_path / "hf" / "preprocessor_config.json").read_text())
    assert processor["image_processor_type"] == "CLIPImageProcessor"
    assert (processor["resample"], processor["size"], processor["crop_size"]) == (
        Image.Resampling.BICUBIC, {"shortest_edge": SIZE}, {"height": SIZE, "width": SIZE},
    )  # fmt: skip
    assert (processor["image_mean"], processor["image_std"]) == (list(MEAN), list(STD))
    assert all(processor[f"do_{step}"] is True for step in ("resize", "center_crop", "rescale", "normalize"))
    # Without `format`, Transformers takes the adapters for no weights of a ViT, and refuses them.
    with safe_open(tmp_path / "hf" / "model.safetensors", "np") as head:
        assert head.metadata() == {"kind": "adapters"}
        assert {"image_weight", "prototypes"} <= set(head.keys())


def changed(folder: Path, target: Path, **facts: object) -> Path:
    """A copy of the export whose card says something else."""
    import shutil

    shutil.copytree(folder, target)
    card = json.loads((target / "card.json").read_text())
    (target / "card.json").write_text(json.dumps(card | facts))
    return target


def test_a_variant_that_is_not_offered_is_left_out(folder: Path, tmp_path: Path) -> None:
    files = write(changed(folder, tmp_path / "model", variants={}), tmp_path / "hf")
    assert [name for name in files if name.startswith("onnx/")] == ["onnx/model.onnx"]
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["transformers.js_config"] == {"dtype": "fp32"}  # it would look for the quantised graph


@pytest.mark.parametrize(
    ("facts", "error", "message"),
    [
        ({"mean": [0.1, 0.1, 0.1]}, CheckpointError, "prepared as its card says, the answers differ by"),
        ({"std": [0.1, 0.1]}, DataError, "std: expected three numbers"),
        ({"variants": {"int8": {"sha256": "0" * 64}}}, DataError, "another file than its card says"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_left(
    folder: Path, tmp_path: Path, facts: dict[str, Any], error: type[Exception], message: str
) -> None:
    model = changed(folder, tmp_path / "model", **facts)
    with pytest.raises(error, match=message):
        write(model, tmp_path / "hf")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_other_files_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="hf: not empty; remove it, or name another folder"):
        write(folder, tmp_path / "hf")
    assert [path.name for path in (tmp_path / "hf").iterdir()] == ["mine.txt"]


def test_a_graph_of_another_origin_cannot_be_cut(tmp_path: Path) -> None:
    import onnx
    from tiny_model import write_tiny_model

    proto = onnx.load(str(write_tiny_model(tmp_path) / "model.onnx"))
    with pytest.raises(CheckpointError, match="expected a tensor 'embedding'"):
        float_graph(proto, 8)


def test_the_command_needs_no_torch(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from pipeline.cli.export import export_model\n"
        "export_model(sys.argv[1], hf=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "out")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    version = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()[:12]
    assert run.stdout.startswith(f"Hugging Face: {tmp_path / 'out'} holds croft/{version}: README.md, config.json, ")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert f"# croft {version}\n" in readme
    assert "pixel_values" in readme
    stream = io.BytesIO()
    pictures()[0].save(stream, "PNG")
    assert Predictor(tmp_path / "out" / "croft", device="cpu").predict([stream.getvalue()]).errors == ("",)
