"""A preset's values written into an existing params.yaml, and what that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.cli.presets.document import Document, same_value
from pipeline.cli.presets.files import NAMES, Preset
from pipeline.params import Params

_MARK = re.compile(rf"\s*\[(?:{'|'.join([*NAMES, 'folder'])}): .*\]$")
"""Where a preset's value is from, at the end of its line's comment; the next preset replaces it."""


@dataclass(frozen=True)
class Change:
    """One key that gets another value; `absent` where the file did not have it."""

    key: str
    was: Any
    now: Any
    absent: bool = False


@dataclass(frozen=True)
class Merged:
    """The new text, what changed, the keys that stay as they are, and the unknown ones among them."""

    text: str
    changes: list[Change]
    kept: list[str]
    unknown: list[str]


def merge(text: str, preset: Preset, source: str = "params.yaml") -> Merged:
    """Put a preset's values into the text of a params file.

    Args:
        text: YAML; `\\n` between lines.
        preset: its values.
        source: how errors call the file.
    Raises:
        ParamsError: the text is no YAML mapping of sections, lists a key twice, or uses anchors.
    """
    document = Document(text, source)
    changes: list[Change] = []
    for dotted, value in preset.values.items():
        section, key = dotted.split(".")
        present = document.values.get(section) or {}
        origin = preset.origins.get(dotted, "")
        comment = _MARK.sub("", document.comment(section, key)).strip()
        document.set(section, key, value, f"{comment} [{preset.name}: {origin}]".strip() if origin else comment)
        if key not in present or not same_value(present[key], value):
            changes.append(Change(dotted, present.get(key), value, absent=key not in present))
    content = document.values
    kept = [
        f"{section}.{key}" if key else str(section)
        for section, keys in content.items()
        for key in (keys if isinstance(keys, dict) and keys else [""])
        if f"{section}.{key}" not in preset.values
    ]
    known = _known()
    order = [f"{section}.{key}" for section, keys in content.items() if isinstance(keys, dict) for key in keys]
    changes.sort(key=lambda change: order.index(change.key))
    return Merged(document.text(), changes, kept, [key for key in kept if key not in known])


def _known() -> set[str]:
    from pydantic import BaseModel

    known = set()
    for name, field in Params.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            known |= {f"{field.alias or name}.{inner.alias or key}" for key, inner in model.model_fields.items()}
    return known
