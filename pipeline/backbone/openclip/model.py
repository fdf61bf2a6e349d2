"""open_clip's towers as a `Backbone`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.backbone.openclip.text_tower import TextTower
from pipeline.backbone.protocol import Backbone

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_TEXTS = 256  # prompts per forward pass
_TOKENIZED = 1024  # texts tokenized at once


@dataclass(frozen=True)
class OpenClipTokenizer:
    """A tokenizer of open_clip and the context of its model; called, it gives (N, context) token ids."""

    tokenize: Any
    context: int

    def __call__(self, texts: Sequence[str], context_length: int | None = None) -> Tensor:
        ids: Tensor = self.tokenize(list(texts), context_length=context_length or self.context)
        return ids

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """As `Tokenizer`."""
        import numpy as np

        # Tokenizers cut silently and pad with a token of their own: a context four times as long shows what was cut,
        # and an empty text's last token what they pad with.
        padding = self([""], 4 * self.context)[0, -1].item()
        lengths: list[int] = []
        for start in range(0, len(texts), _TOKENIZED):
            used = self(texts[start : start + _TOKENIZED], 4 * self.context).numpy() != padding
            lengths += np.where(used.any(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1), 0).tolist()
        return lengths


@dataclass(frozen=True)
class OpenClipBackbone(Backbone):
    """A model of open_clip.

    Attributes:
        model: the open_clip module; its `visual` part is the image tower.
        tokenizer: of the model.
        images_per_forward: how many images pass through the tower at once; a larger batch is cut.
    """

    model: Any
    tokenizer: OpenClipTokenizer
    images_per_forward: int

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """As `Backbone`."""
        import numpy as np

        size = self.preprocessing.size
        if images.shape[1:] != (size, size, 3) or images.dtype.name != "uint8":
            raise ValueError(f"expected uint8 (B, {size}, {size}, 3), found {images.dtype} {images.shape}")
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
            mean = torch.tensor(self.preprocessing.mean, device=self.device)[:, None, None]
            std = torch.tensor(self.preprocessing.std, device=self.device)[:, None, None]
            features: np.ndarray = self.model.encode_image((pixels - mean) / std).float().cpu().numpy()
        return features

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """As `Backbone`."""
        import numpy as np
        import torch

        rows = [np.zeros((0, self.width), dtype=np.float32)]
        with torch.inference_mode(), exact_convolutions():
            for start in range(0, len(texts), _TEXTS):
                tokens = self.tokenizer(texts[start : start + _TEXTS]).to(self.device)
                rows.append(self.model.encode_text(tokens).float().cpu().numpy())
        return np.concatenate(rows)

    def prompt_tower(self) -> TextTower:
        """As `Backbone`; only causal towers of open_clip's own kind can be taken apart."""
        return TextTower(self.model, self.tokenizer, name=self.name, device=self.device)


def exact_convolutions() -> Any:
    """Context in which CUDA convolutions stay float32; TF32, torch's default for them, differs by 1e-3."""
    import torch

    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=torch.backends.cudnn.deterministic, allow_tf32=False
    )
