"""The frozen CLIP: a weights file and an open_clip model name become two encoders."""

from __future__ import annotations

import contextlib
import difflib
import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backbone.checkpoint import load_failure, tensor_shapes
from pipeline.backbone.memory import images_per_forward
from pipeline.backbone.sidecar import read_sidecar
from pipeline.errors import CheckpointError, DataError
from pipeline.hashing import file_sha256

if TYPE_CHECKING:
    import numpy as np

_TEXTS = 256  # prompts per forward pass
_POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")


@dataclass(frozen=True)
class Backbone:
    """A frozen CLIP in evaluation mode, float32.

    Attributes:
        model: the open_clip module; its `visual` part takes (B, 3, S, S) normalised pixels.
        tokenizer: texts to (N, context_length) token ids.
        name: open_clip's model name.
        weights_sha256: of the weights file.
        image_size: S, pixels; images are square.
        mean, std: per channel, of pixels in [0, 1].
        logit_scale: s, already exponentiated (100 for CLIP).
        width: D, numbers per feature.
        context_length: tokens per prompt, start and end included.
        images_per_forward: how many images pass through the tower at once; a larger batch is cut.
        precision: "float32", or "bfloat16" for the image tower's products; what comes out of it is float32 either way.
        device: torch's name of it.
    """

    model: Any
    tokenizer: Any
    name: str
    weights_sha256: str
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    logit_scale: float
    width: int
    context_length: int
    images_per_forward: int
    precision: str
    device: str

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """Raw image features.

        Args:
            images: (B, S, S, 3) uint8.
        Returns:
            (B, D) float32, not normalised.
        Raises:
            ValueError: another shape or dtype.
        """
        import numpy as np

        if images.shape[1:] != (self.image_size, self.image_size, 3) or images.dtype.name != "uint8":
            raise ValueError(
                f"expected uint8 (B, {self.image_size}, {self.image_size}, 3), found {images.dtype} {images.shape}"
            )
        step = self.images_per_forward
        if len(images) <= step:
            return self._forward(images)
        return np.concatenate([self._forward(images[start : start + step]) for start in range(0, len(images), step)])

    def _forward(self, images: np.ndarray) -> np.ndarray:
        import torch

        half = self.precision == "bfloat16"
        products = torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=half)
        with torch.inference_mode(), exact_convolutions(), products:
            pixels = torch.tensor(images).to(self.device).permute(0, 3, 1, 2).float() / 255  # (B, 3, S, S)
            mean = torch.tensor(self.mean, device=self.device)[:, None, None]
            std = torch.tensor(self.std, device=self.device)[:, None, None]
            features: np.ndarray = self.model.encode_image((pixels - mean) / std).float().cpu().numpy()
        return features

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Raw text features: (N, D) float32, not normalised. A text beyond the context is cut off, as in open_clip."""
        import numpy as np
        import torch

        rows = [np.zeros((0, self.width), dtype=np.float32)]
        with torch.inference_mode(), exact_convolutions():
            for start in range(0, len(texts), _TEXTS):
                tokens = self.tokenizer(list(texts[start : start + _TEXTS])).to(self.device)
                rows.append(self.model.encode_text(tokens).float().cpu().numpy())
        return np.concatenate(rows)


def exact_convolutions() -> Any:
    """Context in which CUDA convolutions stay float32; TF32, torch's default for them, differs by 1e-3."""
    import torch

    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=torch.backends.cudnn.deterministic, allow_tf32=False
    )


def load_backbone(model: str, weights: Path, device: str, *, precision: str = "float32") -> Backbone:
    """Load a CLIP from a file; nothing is downloaded and nothing is unpickled.

    Args:
        model: a name that open_clip knows, or the built-in one.
        weights: .safetensors, or a torch file that holds tensors only.
        device: torch's name of it.
        precision: as in `Backbone`.
    Raises:
        CheckpointError: the name is unknown; the file is missing, unreadable, fits another model, or its sidecar says
            so; the model's preprocessing is one that is not supported.
    """
    import open_clip

    config = model_config(model)
    shapes = tensor_shapes(weights)
    note = read_sidecar(weights, model=model, quick_gelu=bool(config.get("quick_gelu", False)))
    try:
        with quiet_open_clip():
            module = open_clip.create_model(model, pretrained=None, pretrained_text=False, device=device)
    except Exception as error:  # models with a text tower of another library fetch its configuration from a hub
        raise CheckpointError(f"backbone.model: {model} cannot be made: {load_failure(error)}") from None
    tokenizer, context = load_tokenizer(model)
    have = module.state_dict()
    for name in _POSITIONS:
        # open_clip would stretch them without a word, and the features would be silently worse
        if name in shapes and name in have and tuple(have[name].shape) != shapes[name]:
            raise CheckpointError(
                f"{weights}: does not fit the model {model}: {name} is {shapes[name]}, "
                f"expected {tuple(have[name].shape)}"
            )
    try:
        open_clip.load_checkpoint(module, str(weights.resolve()), strict=True, weights_only=True)
    except Exception as error:  # open_clip raises anything, from AssertionError to KeyError, on a file of another model
        raise CheckpointError(f"{weights}: does not fit the model {model}: {load_failure(error)}") from None
    module.eval().requires_grad_(False)
    cfg = {**module.visual.preprocess_cfg, **note.get("preprocess", {})}
    size = _square(module.visual.image_size, cfg, model)
    return Backbone(
        model=module,
        tokenizer=tokenizer,
        name=model,
        weights_sha256=file_sha256(weights),
        image_size=size,
        mean=_three(cfg["mean"]),
        std=_three(cfg["std"]),
        logit_scale=math.exp(float(module.logit_scale.detach().reshape(()))),
        width=int(config["embed_dim"]),
        context_length=context,
        images_per_forward=images_per_forward(module.visual, size, device),
        precision=precision,
        device=device,
    )


def load_tokenizer(model: str) -> tuple[Any, int]:
    """A model's tokenizer, as in `Backbone`, and its context length, without its weights.

    Raises:
        CheckpointError: open_clip knows no such name, or the tokenizer is one that comes from a hub.
    """
    import open_clip

    config = model_config(model)
    try:
        tokenizer = open_clip.get_tokenizer(model)
    except Exception as error:  # as for the models themselves
        raise CheckpointError(f"backbone.model: {model} has no tokenizer here: {load_failure(error)}") from None
    return tokenizer, int(config["text_cfg"].get("context_length", 77))


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


def model_config(model: str) -> dict[str, Any]:
    """open_clip's configuration of a model, the built-in one included.

    Raises:
        CheckpointError: open_clip knows no such name.
    """
    import open_clip

    from pipeline.backbone.small import register

    register()
    names = open_clip.list_models()
    if model not in names:
        near = difflib.get_close_matches(model, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "`open_clip.list_models()` names them"
        raise CheckpointError(f"backbone.model: open_clip knows no model {model!r}; {hint}")
    config: dict[str, Any] = open_clip.get_model_config(model)
    return config


@contextlib.contextmanager
def quiet_open_clip() -> Iterator[None]:
    """Hold back what open_clip logs about missing weights: here they come one step later, or an error says it."""
    root = logging.getLogger()

    def wanted(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return "pretrained weights loaded" not in text and not text.startswith("Failed to download weights")

    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)


def _square(size: Any, cfg: dict[str, Any], model: str) -> int:
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if sides[0] != sides[1]:
        raise CheckpointError(f"backbone.model: {model} takes images of {sides}; only square ones are supported")
    if cfg.get("resize_mode", "shortest") != "shortest" or cfg.get("interpolation", "bicubic") != "bicubic":
        raise CheckpointError(
            f"backbone.model: {model} wants images resized by {cfg.get('resize_mode')}, {cfg.get('interpolation')}; "
            "only the shorter side, bicubic, is supported"
        )
    return int(sides[0])


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
