"""One way to say what many messages say: the nearest known name, a long list cut short, a count and its noun."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def suggest(name: object, known: Iterable[str], *, label: str = "known") -> str:
    """The hint that ends an error about an unknown name.

    Args:
        name: what was written.
        known: the names that would have been right.
        label: introduces the list of all names, where none is near.
    Returns:
        "did you mean 'x'?", or "known: x, y, z", cut short after 20 names.
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"{label}: {shorten(names, 20)}"


def shorten(items: Sequence[str], most: int, *, separator: str = ", ", total: int | None = None) -> str:
    """The first items of a list, and how many more there are.

    Args:
        items: what is listed; may itself be cut short.
        most: how many are named.
        separator: between items, and before "and N more".
        total: how many there are in all; len(items) by default.
    Returns:
        "a, b, and 3 more", or "a, b" where nothing is left out.
    """
    named = items[:most]
    unnamed = (len(items) if total is None else total) - len(named)
    return separator.join([*named, f"and {unnamed:,} more"] if unnamed > 0 else named)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 image", "2,000 images", "3 classes"; `plural` where an added s or es is wrong."""
    many = plural or noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
    return f"{number:,} {noun if number == 1 else many}"
