from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backbone.load import load_tokenizer
from pipeline.backbone.prompts import class_prototypes, name_tokens
from pipeline.errors import CheckpointError, ParamsError

NAMES = ["cat", "dog", "polar bear"]


def test_one_prompt_gives_the_raw_text_feature(backbone: Any) -> None:
    texts = ["a photo of a cat.", "a photo of a dog.", "a photo of a polar bear."]
    np.testing.assert_array_equal(class_prototypes(backbone, NAMES, ["a photo of a {}."]), backbone.encode_text(texts))


def test_several_prompts_give_the_mean_of_unit_features(backbone: Any) -> None:
    found = class_prototypes(backbone, NAMES, ["a {}.", "the {} here", "{}"])
    for row, name in zip(found, NAMES, strict=True):
        parts = [backbone.encode_text([text])[0] for text in (f"a {name}.", f"the {name} here", name)]
        np.testing.assert_allclose(row, sum(p / np.linalg.norm(p) for p in parts) / 3, atol=1e-6)


def test_braces_in_a_name_stay(backbone: Any) -> None:
    np.testing.assert_array_equal(
        class_prototypes(backbone, ["{cat}", "x{0}"], ["a {}."]), backbone.encode_text(["a {cat}.", "a x{0}."])
    )


def test_length_limit_is_exact(backbone: Any) -> None:
    # context 16 = start + 14 words of one token each + end
    class_prototypes(backbone, ["cat", "dog"], ["{}" + " cat" * 13])
    with pytest.raises(ParamsError, match=r"backbone\.prompts: 'dog cat.*longer than the model's context of 16 tokens"):
        class_prototypes(backbone, ["dog"], ["{}" + " cat" * 14])
    with pytest.raises(ParamsError, match="longer than"):
        class_prototypes(backbone, ["dog"], ["{}" + " cat" * 200])  # beyond four contexts too


def test_tokens_are_counted_without_weights() -> None:
    tokenizer = load_tokenizer("ViT-B-32", Path("none"))
    assert tokenizer.context == 77
    names = ["dog", "hot dog", "alarm_clock", "n02084071", "", "cat " * 400]
    # start and end beside the words; an underscore is a token, and so is every digit
    assert name_tokens(tokenizer, names[:4], ["{}", "a photo of a {}."]) == [
        (8, 1),  # start a photo of a dog . end
        (9, 1),
        (10, 1),
        (16, 9),
    ]
    assert name_tokens(tokenizer, names[4:], ["a {}"]) == [(3, 0), (4 * 77, 1)]
    with pytest.raises(CheckpointError, match="open_clip knows no model 'ViT-B-33'"):
        load_tokenizer("ViT-B-33", Path("none"))


def test_classes_with_the_same_name_are_refused(backbone: Any) -> None:
    with pytest.raises(ParamsError, match="two classes are called 'cat'"):
        class_prototypes(backbone, ["cat", "dog", "cat"], ["a {}."])
