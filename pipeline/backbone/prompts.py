"""Class prototypes: what the text tower makes of each class's prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.errors import ParamsError

if TYPE_CHECKING:
    import numpy as np

    from pipeline.backbone.load import Backbone


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

    twice = {name for name in names if list(names).count(name) > 1}
    if twice:
        raise ParamsError(
            f"backbone.class_names: two classes are called {sorted(twice)[0]!r}; prompts cannot tell them apart"
        )
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    _check_length(backbone, texts)
    features = backbone.encode_text(texts).reshape(len(names), len(prompts), -1)  # (C, P, D)
    if len(prompts) == 1:
        return features[:, 0]
    norms = np.linalg.norm(features, axis=-1, keepdims=True)
    mean: np.ndarray = (features / norms).mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean


def _check_length(backbone: Backbone, texts: Sequence[str]) -> None:
    # Tokenizers cut silently. In a context four times as long, a text that fits ends in padding from here on.
    context = backbone.context_length
    for text in texts:
        beyond = backbone.tokenizer([text], context_length=4 * context)[0, context:]
        if (beyond != beyond[-1]).any() or beyond[-1] != backbone.tokenizer([""], context_length=4 * context)[0, -1]:
            raise ParamsError(
                f"backbone.prompts: {text!r} is longer than the model's context of {context} tokens; shorten it"
            )
