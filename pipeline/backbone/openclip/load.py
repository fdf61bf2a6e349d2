"""open_clip's name of a model and a weights file become a backbone."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.backbone.checkpoint import load_failure, tensor_shapes
from pipeline.backbone.memory import images_per_forward
from pipeline.backbone.openclip.config import HUB, identifier, model_config, quiet_open_clip
from pipeline.backbone.openclip.model import OpenClipBackbone, OpenClipTokenizer
from pipeline.backbone.protocol import Preprocessing
from pipeline.backbone.sidecar import read_sidecar
from pipeline.errors import CheckpointError
from pipeline.hashing import file_sha256

_POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")


def load(model: str, weights: Path, device: str, precision: str = "float32") -> OpenClipBackbone:
    """As `load_backbone`, which says what is raised."""
    config = model_config(model, weights)
    shapes = tensor_shapes(weights)
    note = read_sidecar(weights, model=model, quick_gelu=bool(config.get("quick_gelu", False)))
    return build(model, weights, shapes, config, note.get("preprocess", {}), device, precision)


def load_tokenizer(model: str, weights: Path | None = None) -> OpenClipTokenizer:
    """As `load.load_tokenizer`; without a file, of models that are known by name."""
    return make_tokenizer(model, model_config(model, weights))


def make_tokenizer(model: str, config: dict[str, Any]) -> OpenClipTokenizer:
    """The tokenizer of an architecture.

    Raises:
        CheckpointError: it would have to be fetched from a hub.
    """
    import open_clip

    try:
        with identifier(model, config) as name:
            tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # as for the models themselves
        raise CheckpointError(f"backbone.model: {model} has no tokenizer here: {load_failure(error)}") from None
    return OpenClipTokenizer(tokenizer, int(config["text_cfg"].get("context_length", 77)))


def build(
    model: str,
    weights: Path,
    shapes: Mapping[str, tuple[int, ...]],
    config: dict[str, Any],
    preprocess: Mapping[str, Any],
    device: str,
    precision: str = "float32",
) -> OpenClipBackbone:
    """A backbone of an architecture and a weights file.

    Args:
        model, weights, device, precision: as for `load`.
        shapes: of the file's tensors.
        config: the architecture.
        preprocess: mean, std, interpolation and resize_mode, where they differ from the architecture's.
    Raises:
        CheckpointError: the file fits another model, or the preprocessing is not supported.
    """
    import open_clip

    tokenizer = make_tokenizer(model, config)
    try:
        with quiet_open_clip(), identifier(model, config) as name:
            module: Any = open_clip.create_model(name, load_weights=False, pretrained_text=False, device=device)
    except Exception as error:  # models with a text tower of another library fetch its configuration from a hub
        raise CheckpointError(f"backbone.model: {model} cannot be made: {load_failure(error)}") from None
    _check_fit(module, shapes, model, weights)
    try:
        open_clip.load_checkpoint(module, str(weights.resolve()), strict=True, weights_only=True)
    except Exception as error:  # open_clip raises anything, from AssertionError to KeyError, on a file of another model
        raise CheckpointError(f"{weights}: does not fit the model {model}: {load_failure(error)}") from None
    module.eval().requires_grad_(False)
    kept = {**module.visual.preprocess_cfg, **preprocess}
    preprocessing = Preprocessing(
        square_side(module.visual.image_size, kept, model), _three(kept, "mean", model), _three(kept, "std", model)
    )
    bias = module.logit_bias
    return OpenClipBackbone(
        name=model,
        weights_sha256=file_sha256(weights),
        config_sha256=_config_sha256(config) if model.startswith(HUB) else "",
        preprocessing=preprocessing,
        logit_scale=math.exp(float(module.logit_scale.detach().reshape(()))),
        logit_bias=0.0 if bias is None else float(bias.detach().reshape(())),
        width=int(config["embed_dim"]),
        tokenizer=tokenizer,
        image_tower=module.visual,
        precision=precision,
        device=device,
        model=module,
        images_per_forward=images_per_forward(module.visual, preprocessing.size, device),
    )


def square_side(size: Any, preprocess: Mapping[str, Any], model: str) -> int:
    """The side of a model's images.

    Raises:
        CheckpointError: they are not square, or resized in a way that is not supported.
    """
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if sides[0] != sides[1]:
        raise CheckpointError(f"backbone.model: {model} takes images of {sides}; only square ones are supported")
    mode, interpolation = preprocess.get("resize_mode", "shortest"), preprocess.get("interpolation", "bicubic")
    if mode != "shortest" or interpolation != "bicubic":
        raise CheckpointError(
            f"backbone.model: {model} wants images resized by {mode}, {interpolation}; "
            "only the shorter side, bicubic, is supported"
        )
    return int(sides[0])


def _check_fit(module: Any, shapes: Mapping[str, tuple[int, ...]], model: str, weights: Path) -> None:
    """Refuse what open_clip's own loading would stretch, or answer with an error about something else."""
    state = module.state_dict()
    for name in _POSITIONS:
        # open_clip would interpolate them silently, and the features would be worse
        if name in shapes and name in state and tuple(state[name].shape) != shapes[name]:
            raise CheckpointError(
                f"{weights}: does not fit the model {model}: {name} is {shapes[name]}, "
                f"expected {tuple(state[name].shape)}"
            )
    if "logit_bias" in shapes and module.logit_bias is None:
        raise CheckpointError(
            f"{weights}: does not fit the model {model}: the weights have a logit bias, as those of SigLIP do, and the "
            "model has none; name the model that they were trained as"
        )


def _config_sha256(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _three(preprocess: Mapping[str, Any], key: str, model: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(value) for value in preprocess[key])
    except (TypeError, ValueError):
        raise CheckpointError(
            f"backbone.model: {model}: preprocessing: {key}: expected three numbers, found {preprocess[key]!r}"
        ) from None
    return red, green, blue
