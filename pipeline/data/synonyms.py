"""Do two class names mean the same thing? By spelling, and by a written list of synonyms."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_LIST = Path(__file__).with_name("synonyms.yaml")
_NUMBER = re.compile(r"(?<=\w)[\s_.-]+\d{1,2}$")  # dog_2; a year or a type number (747-400) is part of a name


class Group(NamedTuple):
    """Names of one thing (`same`) and of what is a kind or a part of it (`kinds`), normalised."""

    same: frozenset[str]
    kinds: frozenset[str]


def overlaps(known: Sequence[str], others: Sequence[str], synonyms: Sequence[Sequence[str]] = ()) -> dict[str, str]:
    """The names of `others` that mean a known class, each with that class; the first one in `known`'s order.

    Names mean the same where one of them is a kind of the other, too (dalmatian, dog); two kinds of one thing
    (sunflower, lotus) are different classes. Case, separators, a plural and a trailing number do not matter.

    Args:
        known: classes that are trained on.
        others: classes that must not be among them.
        synonyms: further groups of names that mean the same (params `data.synonyms`).
    """
    groups = (*shipped(), *_own(synonyms))
    place = {normalised(name): position for position, name in reversed(list(enumerate(known)))}
    found = {}
    for other in others:
        meant = [place[key] for key in _meanings(normalised(other), groups) if key in place]
        if meant:
            found[other] = known[min(meant)]
    return found


def spelling(name: str) -> str:
    """A name without case, accents' encoding and separators: names of equal spelling cannot be two classes."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(c for c in text if c.isalnum()) or text


def normalised(name: str) -> str:
    """`spelling` without a trailing number and in the singular, by the regular rules of English."""
    key = spelling(_NUMBER.sub("", name))
    if len(key) > 4 and key.endswith("ies"):
        return key[:-3] + "y"
    if key.endswith(("sses", "shes", "ches", "xes", "oes")) and len(key) > 5:
        return key[:-2]
    if len(key) > 3 and key.endswith("s") and not key.endswith(("ss", "us", "is")):
        return key[:-1]
    return key


@functools.cache
def shipped() -> tuple[Group, ...]:
    """The groups of synonyms.yaml."""
    import yaml

    entries = yaml.safe_load(_LIST.read_text(encoding="utf-8"))
    return tuple(_group(entry["same"], entry.get("kinds", ())) for entry in entries)


def _own(synonyms: Sequence[Sequence[str]]) -> tuple[Group, ...]:
    return tuple(_group(group, ()) for group in synonyms)


def _group(same: Sequence[str], kinds: Sequence[str]) -> Group:
    return Group(frozenset(map(normalised, same)), frozenset(map(normalised, kinds)))


def _meanings(key: str, groups: Sequence[Group]) -> set[str]:
    """All names that mean the same as `key`, or of which one is a kind of the other; itself included."""
    found = {key}
    for group in groups:
        if key in group.same:
            found |= group.same | group.kinds
        elif key in group.kinds:
            found |= group.same
    return found
