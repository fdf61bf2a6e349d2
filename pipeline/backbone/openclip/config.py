"""Architectures of open_clip by name: those that it ships, the built-in one, and recorded ones of a hub's models."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.backbone.sidecar import read_note, sidecar_path
from pipeline.errors import CheckpointError
from pipeline.phrases import suggest

HUB = "hf-hub:"
CONFIG_FILE = "open_clip_config.json"
"""The architecture in a repository of the hub, or in a folder that open_clip wrote."""


def model_config(model: str, weights: Path | None = None) -> dict[str, Any]:
    """open_clip's configuration of a model, the built-in one included.

    Args:
        model: its name.
        weights: its file; a hub's model has its configuration in the file's sidecar.
    Raises:
        CheckpointError: open_clip knows no such name, the sidecar holds no configuration, or `check_config`.
    """
    if model.startswith(HUB):
        config = read_note(weights).get("config") if weights else None
        if config is None:
            place = sidecar_path(weights) if weights else "backbone.weights"
            raise CheckpointError(
                f"{place}: expected the configuration of {model} under the key config; write it with "
                f"`croft backbone add {model} --name NAME`"
            )
        return check_config(model, config)
    import open_clip

    from pipeline.backbone.small import register

    register()
    names = open_clip.list_models()
    if model not in names:
        _refuse_naflex(model, model)
        hint = suggest(model, names)  # or all of them, which are too many for a message
        hint = hint if hint.startswith("did you mean") else "`open_clip.list_models()` names them"
        raise CheckpointError(f"backbone.model: open_clip knows no model {model!r}; {hint}")
    return check_config(model, open_clip.get_model_config(model))


def check_config(model: str, config: Any) -> dict[str, Any]:
    """Refuse an architecture that cannot be used here, or that would read files or hubs when it is made.

    Raises:
        CheckpointError: it is no open_clip configuration; a NaFlex model; or, of a hub's model, its tokenizer or text
            tower is of another library, or it names a path.
    """
    if not isinstance(config, dict) or not all(
        isinstance(config.get(key), dict) for key in ("vision_cfg", "text_cfg")
    ) or not isinstance(config.get("embed_dim"), int):  # fmt: skip
        raise CheckpointError(f"{model}: not a configuration of open_clip; expected embed_dim, vision_cfg and text_cfg")
    vision, text = config["vision_cfg"], config["text_cfg"]
    _refuse_naflex(model, str(vision.get("timm_model_name", "")))
    if not model.startswith(HUB):
        return config
    for key in ("hf_tokenizer_name", "hf_model_name"):
        if text.get(key):
            raise CheckpointError(
                f"{model}: its text tower needs the library transformers (text_cfg.{key}: {text[key]}), which is not "
                "supported for models of a hub; take a model with CLIP's own tokenizer"
            )
    architecture = str(vision.get("timm_model_name", ""))
    if any(mark in architecture for mark in ":/\\"):
        raise CheckpointError(f"{model}: vision_cfg.timm_model_name: expected a name of timm, found {architecture!r}")
    if "bpe_path" in (text.get("tokenizer_kwargs") or {}):
        raise CheckpointError(
            f"{model}: text_cfg.tokenizer_kwargs.bpe_path: a tokenizer file of its own is not supported"
        )
    return config


def _refuse_naflex(model: str, architecture: str) -> None:
    if "naflex" in f"{model} {architecture}".lower():
        raise CheckpointError(
            f"backbone.model: {model} is a NaFlex model, whose images vary in size and shape; only fixed squares are "
            "supported: take the model of the same family with a fixed size, such as ViT-B-16 or ViT-B-32"
        )


@contextlib.contextmanager
def identifier(model: str, config: dict[str, Any]) -> Iterator[str]:
    """What open_clip's functions take for a model: its name, or a folder with the configuration of a hub's model."""
    if not model.startswith(HUB):
        yield model
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / CONFIG_FILE).write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
        yield f"local-dir:{folder}"


@contextlib.contextmanager
def quiet_open_clip() -> Iterator[None]:
    """Hold back what open_clip logs about missing weights: here they come one step later, or an error says it."""
    root = logging.getLogger()
    unwanted = ("pretrained weights loaded", "Failed to download weights", "no CLIP weights found")

    def wanted(record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in unwanted)

    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)
