"""What the pipeline asks of a frozen CLIP, and of the library that loads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn


class Preprocessing(NamedTuple):
    """From an RGB image to what the image tower takes: shorter side to `size` (bicubic), centre square, normalised.

    `size`: S, pixels. `mean`, `std`: per channel, of pixels in [0, 1].
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Tokenizer(Protocol):
    """Counts tokens; needs no weights."""

    @property
    def context(self) -> int:
        """Most tokens of a text, start and end included."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, start and end included; those beyond four times the context are not counted."""


class PromptTower(Protocol):
    """The text tower from token embeddings on, so that gradients reach embeddings of learned prompts."""

    @property
    def context(self) -> int:
        """Most tokens of a text, start and end included."""

    @property
    def width(self) -> int:
        """W, numbers per token embedding."""

    def in_dtype(self, dtype: torch.dtype) -> Self:
        """The tower in another floating-point type; itself where it has that type already."""

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(N, L) token ids of texts, L that of the longest, never cut off; and (N,) lengths, start and end included."""

    def embed(self, ids: Tensor) -> Tensor:
        """(N, L, W) embeddings of (N, L) token ids, without positions."""

    def encode(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """(N, D) raw text features of (N, L, W) embeddings without positions, differentiable in them; L <= context.

        `lengths`: (N,) in [1, L]; what is behind them has no influence.
        """


@dataclass(frozen=True)
class Backbone(ABC):
    """A frozen CLIP in evaluation mode, float32.

    Attributes:
        name: `backbone.model` of params.yaml.
        weights_sha256: of the weights file.
        config_sha256: of the architecture, where the name does not fix it; "" where it does.
        preprocessing: of images.
        logit_scale: s, already exponentiated (100 for CLIP).
        logit_bias: b of models trained by a sigmoid loss (SigLIP), 0 for others. Logits here are s cos(image, text)
            without it: softmax, the gradients of the energy and the ranks of scores do not change with a constant,
            and thresholds are calibrated on the same scores.
        width: D, numbers per feature.
        tokenizer: of texts.
        image_tower: maps (B, 3, S, S) normalised pixels to (B, D) raw features; for `export`, which traces it.
        precision: "float32", or "bfloat16" for the image tower's products; its features are float32 either way.
        device: torch's name of it.
    """

    name: str
    weights_sha256: str
    config_sha256: str
    preprocessing: Preprocessing
    logit_scale: float
    logit_bias: float
    width: int
    tokenizer: Tokenizer
    image_tower: nn.Module
    precision: str
    device: str

    @property
    def fingerprint(self) -> str:
        """What decides an embedding besides the image and its view; rows in the embedding store are keyed by it."""
        _, mean, std = self.preprocessing  # the size is part of a view's key
        parts = [self.weights_sha256, self.name, str(mean), str(std), self.precision, self.config_sha256]
        return " ".join(parts).rstrip()

    @abstractmethod
    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """Raw image features: (B, D) float32, not normalised, of (B, S, S, 3) uint8 pixels.

        Raises:
            ValueError: another shape or dtype.
        """

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Raw text features: (N, D) float32, not normalised. A text beyond the context is cut off."""

    @abstractmethod
    def prompt_tower(self) -> PromptTower:
        """The text tower for learned prompts, which shares the backbone's weights.

        Raises:
            CheckpointError: prompts cannot be learned through this text tower.
        """


class Backend(NamedTuple):
    """A library that loads CLIPs; one row of `load.BACKENDS`.

    Attributes:
        form: regular expression of the model names that it takes.
        expected: these names in words, for errors.
        load: (model, weights file, device, precision) to a backbone.
        tokenizer: (model, weights file) to its tokenizer; the weights themselves may be missing.
        save: (model, tag or path, safetensors file to write); writes the note next to it too.
    """

    form: str
    expected: str
    load: Callable[[str, Path, str, str], Backbone]
    tokenizer: Callable[[str, Path], Tokenizer]
    save: Callable[[str, str, Path], None]
