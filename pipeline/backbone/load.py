"""A model name and a weights file become a frozen CLIP, by the first backend that takes names of this form."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.backbone import openclip
from pipeline.backbone.protocol import Backbone, Backend, Tokenizer
from pipeline.errors import CheckpointError, DataError

BACKENDS: tuple[Backend, ...] = (openclip.BACKEND,)


def load_backbone(model: str, weights: Path, device: str, *, precision: str = "float32") -> Backbone:
    """Load a CLIP from a file; nothing is downloaded and nothing is unpickled.

    Args:
        model: `backbone.model` of params.yaml.
        weights: .safetensors, or a torch file that holds tensors only.
        device: torch's name of it.
        precision: as in `Backbone`.
    Raises:
        CheckpointError: the name is unknown; the file is missing, unreadable, fits another model, or its sidecar says
            so; the model is of a kind that is not supported.
    """
    return _backend(model).load(model, weights, device, precision)


def load_tokenizer(model: str, weights: Path) -> Tokenizer:
    """A model's tokenizer, without its weights; `weights` says where its sidecar is.

    Raises:
        CheckpointError: the name is unknown, or the tokenizer is of a kind that is not supported.
    """
    return _backend(model).tokenizer(model, weights)


def save_backbone(model: str, source: str, out: Path) -> None:
    """Write a model's weights, and a sidecar with what they do not say themselves, so that no run needs a hub.

    Args:
        model: its name.
        source: a tag of the hub, a weights file or a folder; what the backend takes.
        out: the file to write, ending in .safetensors.
    Raises:
        CheckpointError: the name or source is unknown, unreadable or unsupported, or the hub cannot be reached.
    """
    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: expected a name that ends in .safetensors")
    _backend(model).save(model, source, out)


def backbone_of(meta: Mapping[str, Any], *, model: str, weights: Path, device: str) -> Callable[[], Backbone]:
    """The backbone that made some features, for what needs it after `featurize`: loaded once, and only if asked for.

    Args:
        meta: of these features.
        model, weights, device: as for `load_backbone`.
    Returns:
        A function that raises DataError where the features are of other weights, and what `load_backbone` does.
    """

    @functools.cache
    def load() -> Backbone:
        backbone = load_backbone(model, weights, device, precision=meta["precision"])
        if meta["weights_sha256"] != backbone.weights_sha256:
            raise DataError(
                "artifacts/features: made with other weights than backbone.weights; run `dvc repro featurize`"
            )
        return backbone

    return load


def _backend(model: str) -> Backend:
    for backend in BACKENDS:
        if re.fullmatch(backend.form, model):
            return backend
    raise CheckpointError(
        f"backbone.model: {model!r} is no model name; expected {' or '.join(backend.expected for backend in BACKENDS)}"
    )
