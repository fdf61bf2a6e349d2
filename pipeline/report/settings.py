"""Settings of the methods for the report: what they share, what differs, and which fits diverged with which."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.report.wording import NONE
from pipeline.tables import DEPLOY, IN_DISTRIBUTION

if TYPE_CHECKING:
    import pandas as pd

Settings = Mapping[str, Mapping[str, object]]
"""{method: {name: value}}, as `pipeline.methods.settings.record` gives them."""


def shared_settings(settings: Settings) -> dict[str, str]:
    """Settings that have the same value in all methods."""
    values = {name: _values(settings, name) for name in _names(settings)}
    return {name: _plain(next(iter(texts))) for name, texts in values.items() if len(texts) == 1}


def differing_settings(settings: Settings) -> dict[str, dict[str, str]]:
    """Each method's values of the other settings."""
    names = [name for name in _names(settings) if len(_values(settings, name)) > 1]
    return {
        method: {name: _plain(json.dumps(options[name])) if name in options else NONE for name in names}
        for method, options in settings.items()
    }


def diverged_notes(diverged: pd.DataFrame) -> list[str]:
    """A sentence for each fit that diverged.

    Args:
        diverged: rows of the FITS table.
    """
    return [_diverged(row) for row in diverged.to_dict("records")]


def _diverged(row: Mapping[Hashable, Any]) -> str:
    settings = ", ".join(f"{name}: {value}" for name, value in json.loads(row["settings"]).items())
    fit = f"{row['method']} diverged with {_held_out(row['target'])}, seed {row['seed']}"
    return f"{fit}, and is left out. Its settings: {settings}."


def _held_out(target: str) -> str:
    if target == DEPLOY:
        return "no domain held out (the deployed fit)"
    return "no domain held out" if target == IN_DISTRIBUTION else f"{target} held out"


def _names(settings: Settings) -> list[str]:
    return list(dict.fromkeys(name for options in settings.values() for name in options))


def _values(settings: Settings, name: str) -> set[str]:
    return {json.dumps(options.get(name)) for options in settings.values()}


def _plain(text: str) -> str:
    return text.strip('"')
