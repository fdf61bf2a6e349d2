"""Class prototypes: the text features of each class's prompts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ParamsError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.backbone.protocol import Backbone, Tokenizer


def class_prototypes(backbone: Backbone, names: Sequence[str], prompts: Sequence[str]) -> np.ndarray:
    """One text feature per class.

    With one prompt it is the raw text feature; with several, the mean of the normalised ones (the prompt ensemble of
    Radford et al., "CLIP", ICML 2021, section 3.1.4).

    Args:
        backbone: the frozen CLIP.
        names: C class names as prompts call them.
        prompts: templates, each with the placeholder {} once.
    Returns:
        (C, D) float32.
    Raises:
        ParamsError: a prompt is longer than the model's context, or two classes have the same prompts.
    """
    import numpy as np

    repeated = {name for name in names if list(names).count(name) > 1}
    if repeated:
        raise ParamsError(
            f"backbone.class_names: two classes are called {min(repeated)!r}; give each its own name for prompts"
        )
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    _check_length(backbone.tokenizer, texts)
    features = backbone.encode_text(texts).reshape(len(names), len(prompts), -1)  # (C, P, D)
    if len(prompts) == 1:
        return features[:, 0]
    norms = np.linalg.norm(features, axis=-1, keepdims=True)
    mean: np.ndarray = (features / norms).mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean


def name_tokens(tokenizer: Tokenizer, names: Sequence[str], prompts: Sequence[str]) -> list[tuple[int, int]]:
    """How a tokenizer takes class names, without any weights.

    Args:
        tokenizer: as `load.load_tokenizer` gives it.
        names: class names as prompts call them.
        prompts: templates, each with the placeholder {} once.
    Returns:
        For each name (tokens of its longest prompt, start and end included; most tokens of one of its words, at white
        space, hyphens and underscores). Tokens beyond four times the context are not counted.
    """
    import numpy as np

    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    words = [(row, word) for row, name in enumerate(names) for word in re.split(r"[\s_-]+", name) if word]
    longest = np.reshape(tokenizer.lengths(texts), (len(names), len(prompts))).max(axis=1)
    empty, *lengths = tokenizer.lengths(["", *(word for _, word in words)])
    pieces = [0] * len(names)
    for (row, _), length in zip(words, lengths, strict=True):
        pieces[row] = max(pieces[row], length - empty)
    return [(int(tokens), most) for tokens, most in zip(longest, pieces, strict=True)]


def _check_length(tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    for text, length in zip(texts, tokenizer.lengths(texts), strict=True):
        if length > tokenizer.context:
            raise ParamsError(
                f"backbone.prompts: {text!r} is longer than the model's context of {tokenizer.context} tokens; "
                "shorten it"
            )
