"""A preset into a params.yaml that somebody has: only the lines of its keys are written anew, all others stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import yaml

from pipeline.cli.presets.files import Preset
from pipeline.cli.presets.spelling import lines
from pipeline.errors import ParamsError
from pipeline.params import Params

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it
_MARK = re.compile(r"\s*\[(?:digits|pacs|vlcs|imagenet|folder): .*\]$")
"""Where a preset's value is from, at the end of its line's comment; the next preset takes it away."""


@dataclass(frozen=True)
class Change:
    """One key that gets another value; `absent` where the file did not have it."""

    key: str
    was: Any
    now: Any
    absent: bool = False


@dataclass(frozen=True)
class Merged:
    """The new text, what changed, the keys that stay as they are, and those of them that no stage knows."""

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
        ParamsError: the text is no YAML mapping of sections, has a key twice, or uses anchors.
    """
    content = _checked(text, source)
    changes: list[Change] = []
    for dotted, value in preset.values.items():
        section, key = dotted.split(".")
        present = content.get(section) or {}
        if not isinstance(present, dict):
            raise ParamsError(f"{source}: {section}: expected a mapping of keys, found {type(present).__name__}")
        absent = key not in present
        if absent or not _same(present[key], value):
            changes.append(Change(dotted, present.get(key), value, absent))
        text = _with(text, section, key, value, preset.name, preset.origins.get(dotted, ""))
        content[section] = {**present, key: value}
    if _load(text) != content:
        raise ParamsError(f"{source}: cannot be changed line by line; write it in the usual form (one key a line)")
    kept = [
        f"{section}.{key}" if key else str(section)
        for section, keys in content.items()
        for key in (keys if isinstance(keys, dict) and keys else [""])
        if f"{section}.{key}" not in preset.values
    ]
    known = _known()
    order = [f"{section}.{key}" for section, keys in content.items() if isinstance(keys, dict) for key in keys]
    changes.sort(key=lambda change: order.index(change.key))
    return Merged(text, changes, kept, [key for key in kept if key not in known])


def _load(text: str) -> Any:
    return yaml.load(text, Loader=_LOADER)  # noqa: S506  a safe loader


def _checked(text: str, source: str) -> dict[str, Any]:
    try:
        if any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(text, Loader=_LOADER)):
            raise ParamsError(f"{source}: uses anchors (&, *), which cannot be changed line by line; write values out")
        content = _load(text)
        node = yaml.compose(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError) as error:
        raise ParamsError(f"{source}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        raise ParamsError(f"{source}: expected a mapping of sections, found {type(content).__name__}")
    for name, mapping in (("", node), *((key.value, value) for key, value in node.value)):
        if isinstance(mapping, yaml.MappingNode):
            keys = [key.value for key, _ in mapping.value]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                raise ParamsError(f"{source}: {f'{name}.' if name else ''}{twice} is there twice; keep one")
    return content


def _with(text: str, section: str, key: str, value: Any, preset: str, origin: str) -> str:
    found = _pair(cast(yaml.Node, yaml.compose(text, Loader=_LOADER)), section)
    if found is None:
        return "\n".join(
            [text.rstrip("\n"), "", f"{section}:", *lines("  ", key, value, _comment("", preset, origin)), ""]
        )
    name, keys = found
    if not isinstance(keys, yaml.MappingNode) or keys.flow_style:  # `section:` alone, or all of it in braces
        plain = {**(_load(text)[section] or {}), key: value}
        end = max(_end(keys), name.end_mark.index + 1)
        comment = _tail(text, end)
        body = [line for inner, entry in plain.items() for line in lines("  ", inner, entry, "")]
        text = _splice(text, name.start_mark.index, end, [f"{section}:{f'  # {comment}' if comment else ''}", *body])
        return _with(text, section, key, value, preset, origin)
    pair = _pair(keys, key)
    if pair is None:
        end = _end(keys)
        indent = " " * keys.value[0][0].start_mark.column
        new = lines(indent, key, value, _comment("", preset, origin))
        return _splice(text, None, end, new)
    inner, old = pair
    end = _end(old)
    block = isinstance(old, yaml.CollectionNode) and not old.flow_style
    comment = _tail(text, inner.end_mark.index + 1 if block else max(end, inner.end_mark.index + 1))
    marked = _comment(comment, preset, origin)
    current = _load(text)[section][key]
    if _same(current, value) and marked == comment:
        return text
    indent = " " * inner.start_mark.column
    if _same(current, value) and not block:  # the value as it was written, with another comment
        written = text[inner.start_mark.index : max(end, inner.end_mark.index + 1)].rstrip()
        first = f"{indent}{written}"
        new = [f"{first.ljust(29)}  # {marked}" if marked else first]
    else:
        new = lines(indent, key, value, marked)
    return _splice(text, inner.start_mark.index, end, new)


def _pair(mapping: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else []
    return next(((name, value) for name, value in pairs if name.value == key), None)


def _end(node: yaml.Node) -> int:
    """Where a value's text ends; PyYAML ends a block only where the next key begins, behind comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        if isinstance(last, tuple):
            return max(_end(last[1]), int(last[0].end_mark.index) + 1)
        return _end(last)
    return int(node.end_mark.index)


def _tail(text: str, index: int) -> str:
    """The comment behind a place on its line, without the '#'."""
    rest = text[index : _line_end(text, index)].strip()
    return rest.removeprefix("#").strip() if rest.startswith("#") else ""


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    return len(text) if end < 0 else end


def _splice(text: str, start: int | None, end: int, new: list[str]) -> str:
    """Whole lines from that of `start` to that of `end` become `new`; without a start they are put behind `end`'s."""
    after = _line_end(text, end)
    before = text[:after] + "\n" if start is None else text[: text.rfind("\n", 0, start) + 1]
    return before + "\n".join(new) + (text[after:] or "\n")


def _comment(old: str, preset: str, origin: str) -> str:
    own = _MARK.sub("", old).strip()
    return " ".join(part for part in (own, f"[{preset}: {origin}]" if origin else "") if part)


def _same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)  # 1 is not 1.0 to a strict reader, and true is not 1


def _known() -> set[str]:
    from pydantic import BaseModel

    known = set()
    for name, field in Params.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            known |= {f"{field.alias or name}.{inner.alias or key}" for key, inner in model.model_fields.items()}
    return known
