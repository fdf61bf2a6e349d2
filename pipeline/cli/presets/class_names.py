"""What prompts call the classes of a folder: the folders' names without codes and underscores."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.data.synonyms import spelling

_LETTER = r"[^\W\d_]"
_SEPARATOR = r"[\s._-]+"
_WNID = re.compile(rf"n\d{{8}}{_SEPARATOR}(?={_LETTER})|(?<=\w){_SEPARATOR}n\d{{8}}$")  # n02085620-Chihuahua
_NUMBER = re.compile(rf"(?:(?:class|cls|category|label|id)[\s._-]*)?(\d+){_SEPARATOR}(?={_LETTER})", re.IGNORECASE)
_BARE_WNID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class ClassNames:
    """A proposal for backbone.class_names.

    Attributes:
        called: folder to name, for those whose name in prompts is not the folder's, and for `bare` ones.
        coded: folders whose code the name leaves out, or replaces.
        bare: folders that are nothing but a code: what they show has to be written.
    """

    called: Mapping[str, str]
    coded: Sequence[str] = ()
    bare: Sequence[str] = ()


def propose(folders: Sequence[str]) -> ClassNames:
    """Names for prompts; a code is left out only where the names that remain differ from each other.

    Codes are WordNet ids, and numbers in front if most folders have one, each its own: `001.Black_footed_Albatross`.
    A folder that is a WordNet id of ImageNet gets CLIP's name for it.

    Args:
        folders: class folders, each once.
    """
    names = _distinct({folder: _WNID.sub("", folder) for folder in folders})
    names = _distinct(_without_numbers(names))
    names = {folder: re.sub(r"[\s_]+", " ", name).strip() or folder for folder, name in names.items()}
    bare = _bare(folders)
    looked_up = _imagenet_names(bare)
    bare = [folder for folder in bare if folder not in looked_up]
    names |= looked_up
    spaced = {folder: re.sub(r"[\s_]+", " ", folder).strip() for folder in folders}
    return ClassNames(
        {folder: name for folder, name in names.items() if name != folder or folder in bare},
        [folder for folder, name in names.items() if name != spaced[folder]],
        bare,
    )


def _without_numbers(names: Mapping[str, str]) -> dict[str, str]:
    matches = {folder: match for folder, name in names.items() if (match := _NUMBER.match(name))}
    numbers = {match[1] for match in matches.values()}
    if len(numbers) < len(matches) or 2 * len(matches) <= len(names):  # 10_dollars among names: no code
        return dict(names)
    return {folder: name[matches[folder].end() :] if folder in matches else name for folder, name in names.items()}


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Names that are spelled like no other; the folder's own where they are."""
    counts = Counter(spelling(name) for name in names.values())
    return {folder: name if counts[spelling(name)] == 1 else folder for folder, name in names.items()}


def _bare(folders: Sequence[str]) -> list[str]:
    """Folders that differ in a number only, if most do: `class_1`, `c0`, `7`, `n01440764`."""
    shapes = {folder: re.sub(r"\d+", "#", folder) for folder in folders}
    shape, count = Counter(shapes.values()).most_common(1)[0]
    if "#" not in shape or count < 2 or 2 * count <= len(folders):
        return []
    return [folder for folder in folders if shapes[folder] == shape]


def _imagenet_names(folders: Iterable[str]) -> dict[str, str]:
    wnids = [folder for folder in folders if _BARE_WNID.fullmatch(folder)]
    if not wnids:
        return {}
    from pipeline.sources.benchmarks.imagenet import prompt_names  # seconds: it imports open_clip

    names = prompt_names()
    return {wnid: names[wnid] for wnid in wnids if wnid in names}
