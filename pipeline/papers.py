"""Where a method or a score comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """One publication."""

    authors: str
    title: str
    venue: str
    year: int
    url: str
