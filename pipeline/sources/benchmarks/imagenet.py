"""The 1,000 classes of ImageNet: from wnids and indices to the names of CLIP's prompts.

Both lists are what the installed libraries ship: timm's wnids in the order of labels, open_clip's class names in the
same order, which are those of OpenAI's notebook "Prompt Engineering for ImageNet".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

_DISTINCT = {"n04008634": "projectile", "n04355933": "sunglass"}
"""WordNet's names, where CLIP repeats those of other classes (missile, sunglasses), so that their prompts differ."""


@functools.cache
def prompt_names() -> Mapping[str, str]:
    """wnid to the name in CLIP's prompts, all different, in the order of labels."""
    import timm.data
    from open_clip import IMAGENET_CLASSNAMES

    wnids: list[str] = cast(Any, timm.data).ImageNetInfo("imagenet-1k").label_names()
    return {wnid: _DISTINCT.get(wnid, name) for wnid, name in zip(wnids, IMAGENET_CLASSNAMES, strict=True)}


def folder_name(prompt_name: str) -> str:
    """The name of the class's folder in a data set: the prompt name without path separators."""
    return prompt_name.replace(" / ", " or ")


@functools.cache
def folders(kind: str) -> Mapping[str, str]:
    """Class folder of the source, a `wnid` or an `index` (0 to 999), to the class folder of the data set."""
    table = prompt_names()
    keys = list(table) if kind == "wnid" else [str(index) for index in range(len(table))]
    return {key: folder_name(name) for key, name in zip(keys, table.values(), strict=True)}
