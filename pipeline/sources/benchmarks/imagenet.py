"""The 1,000 classes of ImageNet: from wnids and indices to the names of CLIP's prompts.

Both lists are what the installed libraries ship: timm's wnids in the order of labels, open_clip's class names in the
same order, which are those of OpenAI's notebook "Prompt Engineering for ImageNet".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, cast

_DISTINCT = {"n04008634": "projectile", "n04355933": "sunglass"}
"""CLIP calls these as two other classes (missile, sunglasses), whose prompts they would share; WordNet's names."""


@functools.cache
def prompt_names() -> Mapping[str, str]:
    """wnid to the name of CLIP's prompts, all different, in the order of labels."""
    import timm.data
    from open_clip import IMAGENET_CLASSNAMES

    wnids: list[str] = cast(Any, timm.data).ImageNetInfo("imagenet-1k").label_names()
    return {wnid: _DISTINCT.get(wnid, name) for wnid, name in zip(wnids, IMAGENET_CLASSNAMES, strict=True)}


def folder_name(prompt_name: str) -> str:
    """What the class's folder is called in the workspace: the name itself, which no path separator may be in."""
    return prompt_name.replace(" / ", " or ")


@functools.cache
def folders(kind: str) -> Mapping[str, str]:
    """What a class folder of the source is called to the workspace's: `wnid` or `index` (0 to 999)."""
    table = prompt_names()
    keys = list(table) if kind == "wnid" else [str(index) for index in range(len(table))]
    return {key: folder_name(name) for key, name in zip(keys, table.values(), strict=True)}
