"""Settings of the methods for the report: what they share, what differs, and which fits diverged with which."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

from pipeline.report.wording import NONE
from pipeline.tables import DEPLOY, IN_DISTRIBUTION

Settings = Mapping[str, Mapping[str, object]]
"""{method: {name: value}}, as `pipeline.methods.settings.record` gives them."""


def compared_settings(settings: Settings) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Settings that have the same value in all methods, and each method's values of the other ones."""
    names = dict.fromkeys(name for options in settings.values() for name in options)
    values = {name: [_text(options.get(name)) for options in settings.values()] for name in names}
    shared = {name: texts[0] for name, texts in values.items() if len(set(texts)) == 1}
    differing = {
        method: {name: _text(options[name]) if name in options else NONE for name in names if name not in shared}
        for method, options in settings.items()
    }
    return shared, differing


def diverged_note(row: Mapping[Hashable, Any]) -> str:
    """A sentence on a fit that diverged, a row of the FITS table."""
    settings = ", ".join(f"{name}: {value}" for name, value in json.loads(row["settings"]).items())
    fit = f"{row['method']} diverged with {_held_out(row['target'])}, seed {row['seed']}"
    return f"{fit}, and is left out. Its settings: {settings}."


def _held_out(target: str) -> str:
    if target == DEPLOY:
        return "no domain held out (the deployed fit)"
    return "no domain held out" if target == IN_DISTRIBUTION else f"{target} held out"


def _text(value: object) -> str:
    return json.dumps(value).strip('"')
