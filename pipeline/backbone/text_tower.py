"""The frozen text tower from token embeddings on, so that gradients reach embeddings that are no word's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.backbone.load import Backbone

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

    def __init__(self, backbone: Backbone) -> None:
        """Share the backbone's weights.

        Raises:
            CheckpointError: its text tower is of another kind.
        """
        # CLIP keeps the parts on itself, CustomTextCLIP in `text`
        holder = getattr(backbone.model, "text", backbone.model)
        pool = getattr(holder, "pool_type", getattr(holder, "text_pool_type", None))
        causal = all(hasattr(holder, part) for part in _PARTS) and holder.attn_mask is not None
        if not causal or pool not in _POOLS or getattr(holder, "cls_emb", None) is not None:
            raise CheckpointError(
                f"backbone.model: {backbone.name} has a text tower ({type(holder).__name__}) through which no prompt "
                "can be learned here; remove the methods of kind coop from finetune.methods"
            )
        self._parts: dict[str, Any] = {part: getattr(holder, part) for part in _PARTS}
        end = getattr(holder, "eos_id", getattr(holder, "text_eos_id", None))
        self._end = end if pool == "eos" else None
        self._tokenizer, self._device = backbone.tokenizer, backbone.device
        self.context = backbone.context_length
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
        """Token ids of texts, never cut off: a text may be longer than the tower's context.

        Returns:
            (N, L) ids, L being the longest text, and (N,) lengths, start and end tokens included.
        """
        # In a context four times as long, what is too long for the tower is still seen to be so.
        ids = self._tokenizer(list(texts), context_length=4 * self.context).to(self._device)
        last = ids.argmax(-1) if self._end is None else (ids == self._end).int().argmax(-1)
        return ids[:, : int(last.max()) + 1], last + 1

    def embed(self, ids: Tensor) -> Tensor:
        """(N, L, W) embeddings of (N, L) token ids, without positions."""
        embedded: Tensor = self._parts["token_embedding"](ids)
        return embedded

    def encode(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Text features of embedded sequences, differentiable in them.

        Args:
            embedded: (N, L, W), without positions; L <= context.
            lengths: (N,) in [1, L]; the output at the last of these tokens, the end token, is the feature.
        Returns:
            (N, D) raw, as `encode_text` gives them.
        """
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
