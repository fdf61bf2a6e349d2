"""A folder in the layout of a Hugging Face repository: card, configurations, head, and graphs for Transformers.js."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.export.floats import check_float_graph, float_graph
from pipeline.export.folder import copy_graph, new_folder, weights_of
from pipeline.export.names import EXTRAS, HEAD_FILE, variant_file
from pipeline.export.save import EXTERNAL_BYTES, save_graph
from pipeline.export.variants import INT8
from pipeline.hashing import file_sha256
from pipeline.serving.card import read_card
from pipeline.serving.predictor import CARD_FILE, GRAPH_FILE
from pipeline.tables import read_json, write_json, write_text

BICUBIC = 3  # Pillow's number of the filter


def write_hf(target: Path, *, graph: Path, card: Path, readme: str, external_bytes: int = EXTERNAL_BYTES) -> list[str]:
    """Write README.md, configurations, model.safetensors, onnx/ (float input) and croft/ (the files as they are).

    Args:
        target: the repository's folder; new or empty.
        graph, card: files of the exported model; `extras` lies beside the graph.
        readme: the model card in Markdown, with its metadata.
        external_bytes: as in `save_graph`.
    Returns:
        Paths of the files below the folder, sorted.
    Raises:
        DataError: the folder is not empty, or the card lacks what the configurations say.
        CheckpointError: a graph is unusable, or cannot be cut at its pixels.
    """
    classes, facts = read_card(card), read_json(card)
    mean, std = (_three(facts, key, card) for key in ("mean", "std"))
    extras = graph.parent / EXTRAS
    graphs = {"model.onnx": graph} | (
        {"model_quantized.onnx": extras / variant_file(INT8)} if _int8(facts, extras) else {}
    )
    with new_folder(target) as folder:
        copy_graph(graph, folder / "croft" / GRAPH_FILE)
        shutil.copyfile(card, folder / "croft" / CARD_FILE)
        for name, source in graphs.items():
            place = folder / "onnx" / name
            _write_float(source, place, classes.image_size, external_bytes)
            check_float_graph(place, source, size=classes.image_size, mean=mean, std=std)
        external = sorted(path.name for path in (folder / "onnx").glob("*_data"))
        write_json(config(facts, quantised=len(graphs) > 1, external=bool(external)), folder / "config.json")
        write_json(preprocessor(classes.image_size, mean, std), folder / "preprocessor_config.json")
        if (extras / HEAD_FILE).is_file():
            shutil.copyfile(extras / HEAD_FILE, folder / "model.safetensors")
        write_text(readme, folder / "README.md")
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def config(card: dict[str, Any], *, quantised: bool, external: bool) -> dict[str, Any]:
    """config.json: the classes, and how Transformers.js is to call the graph.

    Args:
        card: content of card.json.
        quantised: whether there is onnx/model_quantized.onnx, which Transformers.js takes unless told otherwise.
        external: whether weights lie beside a graph.
    """
    classes = card["classes"]
    hints = ({} if quantised else {"dtype": "fp32"}) | ({"use_external_data_format": True} if external else {})
    return {
        # Transformers.js goes by it: one input, pixel_values, and logits for a softmax; it reads no other key of a ViT.
        "model_type": "vit",
        "architectures": ["ViTForImageClassification"],
        "image_size": card["image_size"],
        "num_channels": 3,
        "id2label": {str(index): name for index, name in enumerate(classes)},
        "label2id": {name: index for index, name in enumerate(classes)},
        "problem_type": "single_label_classification",
        "croft": {key: card[key] for key in ("threshold", "score", "method", "backbone") if key in card},
        **({"transformers.js_config": hints} if hints else {}),
    }


def preprocessor(size: int, mean: list[float], std: list[float]) -> dict[str, Any]:
    """preprocessor_config.json, for CLIPImageProcessor: shorter side to size, centre square, normalised."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": mean,
        "image_std": std,
    }


def _write_float(source: Path, place: Path, size: int, external_bytes: int) -> None:
    import onnx

    weights_of(source)  # checks that they lie beside it
    place.parent.mkdir(parents=True, exist_ok=True)
    save_graph(
        float_graph(onnx.load(str(source)), size), place, external=f"{place.name}_data", external_bytes=external_bytes
    )


def _int8(card: dict[str, Any], extras: Path) -> bool:
    """Whether parity offered the variant; its file is then the one that parity compared."""
    offered = (card.get("variants") or {}).get(INT8)
    if not offered:
        return False
    path = extras / variant_file(INT8)
    if not path.is_file() or file_sha256(path) != offered.get("sha256"):
        raise DataError(
            f"{path}: missing, or another file than its card says; export the model again: croft run export"
        )
    return True


def _three(card: dict[str, Any], key: str, path: Path) -> list[float]:
    values = card.get(key)
    if not isinstance(values, list) or len(values) != 3 or not all(isinstance(value, int | float) for value in values):
        raise DataError(f"{path}: {key}: expected three numbers, found {values!r}; export the model again")
    return [float(value) for value in values]
