"""open_clip's text tower as a `PromptTower`: from token embeddings on, so that gradients reach learned prompts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.backbone.openclip.model import OpenClipTokenizer

_PARTS = ("token_embedding", "positional_embedding", "transformer", "attn_mask", "ln_final", "text_projection")
_POOLS = ("argmax", "eos")  # where the end token's output is the feature


class TextTower:
    """open_clip's own causal text transformer, taken apart behind its token embedding.

    It computes what `encode_text` does, on sequences that are cut behind the last end token: through the causal mask
    nothing later reaches what is pooled, and CLIP's 77 positions cost several times what a short prompt needs.

    Attributes:
        context: tokens per text, start and end included.
        width: W, numbers per token embedding.
    """

    def __init__(self, model: Any, tokenizer: OpenClipTokenizer, *, name: str, device: str) -> None:
        """Share a model's weights.

        Args:
            model: the open_clip module; tokenizer: its tokenizer; name, device: as in `Backbone`.
        Raises:
            CheckpointError: its text tower is of another kind.
        """
        # CLIP keeps the parts on itself, CustomTextCLIP in `text`
        holder = getattr(model, "text", model)
        pool = getattr(holder, "pool_type", getattr(holder, "text_pool_type", None))
        causal = all(hasattr(holder, part) for part in _PARTS) and holder.attn_mask is not None
        if not causal or pool not in _POOLS or getattr(holder, "cls_emb", None) is not None:
            raise CheckpointError(
                f"backbone.model: {name} has a text tower ({type(holder).__name__}) through which no prompt "
                "can be learned here; remove the methods of kind coop from finetune.methods"
            )
        self._parts: dict[str, Any] = {part: getattr(holder, part) for part in _PARTS}
        end = getattr(holder, "eos_id", getattr(holder, "text_eos_id", None))
        self._end = end if pool == "eos" else None
        self._tokenizer, self._device = tokenizer, device
        self.context = tokenizer.context
        self.width = int(self._parts["token_embedding"].embedding_dim)

    def in_dtype(self, dtype: torch.dtype) -> TextTower:
        """The tower in another floating-point type; itself where it has that already."""
        if self._parts["token_embedding"].weight.dtype == dtype:
            return self
        other = copy.copy(self)
        other._parts = {
            name: part if part is None else copy.deepcopy(part).to(dtype) for name, part in self._parts.items()
        }
        return other

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """As `PromptTower`; tokens beyond four times the context are cut off."""
        ids = self._tokenizer(texts, 4 * self.context).to(self._device)
        last = ids.argmax(-1) if self._end is None else (ids == self._end).int().argmax(-1)
        return ids[:, : int(last.max()) + 1], last + 1

    def embed(self, ids: Tensor) -> Tensor:
        """As `PromptTower`."""
        embedded: Tensor = self._parts["token_embedding"](ids)
        return embedded

    def encode(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """As `PromptTower`; the output at the last of a text's tokens, the end token, is its feature."""
        import torch

        parts, size = self._parts, embedded.shape[1]
        hidden = embedded + parts["positional_embedding"][:size]
        hidden = parts["ln_final"](parts["transformer"](hidden, attn_mask=parts["attn_mask"][:size, :size]))
        pooled: Tensor = hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]  # (N, W)
        projection = parts["text_projection"]
        if isinstance(projection, torch.nn.Linear):
            pooled = projection(pooled)
        elif projection is not None:
            pooled = pooled @ projection
        return pooled
