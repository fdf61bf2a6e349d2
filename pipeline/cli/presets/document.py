"""A YAML file of sections, edited in place: comments, order and the spelling of all other values stay."""

from __future__ import annotations

import io
import re
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import CommentMark
from ruamel.yaml.error import YAMLError as RoundTripError
from ruamel.yaml.tokens import CommentToken

from pipeline.cli.presets.spelling import spell
from pipeline.errors import ParamsError
from pipeline.params.yaml_text import Loader, parse_yaml

COLUMN = 31
"""Where comments begin, unless the value is longer."""


class _Constructor(RoundTripConstructor):
    """Scalars that are no text keep their spelling: `1e-5`, `0x1F` and `~` are written as they were read."""


for _kind in ("null", "bool", "int", "float", "timestamp"):
    _TAG = f"tag:yaml.org,2002:{_kind}"
    _Constructor.add_constructor(_TAG, lambda _, node, tag=_TAG: TaggedScalar(node.value, tag=tag))


class Document:
    """The text of a params file, its values, and changes of single keys.

    Sections keep the indent of the first of them; block lists get the shipped file's (`    - item`).

    Attributes:
        values: section to key to value as `load_params` reads them; `set` keeps them up to date.
    """

    def __init__(self, text: str, source: str) -> None:
        """Parse `text` (`\\n` between lines); errors call the file `source`.

        Raises:
            ParamsError: the text is no YAML mapping of sections, lists a key twice, or uses anchors.
        """
        self._text, self._source, self._changed = text, source, False
        self._yaml = YAML(typ="rt", pure=True)
        self._yaml.Constructor = _Constructor
        self._yaml.preserve_quotes = True
        self._yaml.width = 2**20  # never fold a line
        try:
            self._check_events()
            values = parse_yaml(text)
            if not isinstance(values, dict):
                raise ParamsError(f"{source}: expected a mapping of sections, found {type(values).__name__}")
            self._root: Any = self._yaml.load(text)
        except DuplicateKeyError as error:
            key = re.search(r'"(.*?)"', str(error.problem))
            raise ParamsError(
                f"{source}, line {error.problem_mark.line + 1}: {key[1] if key else 'a key'} is listed twice; "
                "remove one of the two lines"
            ) from None
        except (yaml.YAMLError, RoundTripError, ValueError, RecursionError) as error:
            raise ParamsError(f"{source}: not valid YAML: {' '.join(str(error).split())[:300]}") from None
        self.values: dict[str, Any] = values
        columns = (keys.lc.key(next(iter(keys)))[1] for keys in self._root.values() if _is_block(keys))
        self._indent = next(columns, 0) or 2
        self._yaml.indent(mapping=self._indent, sequence=self._indent + 2, offset=self._indent)

    def _check_events(self) -> None:
        for event in yaml.parse(self._text, Loader=Loader):
            if getattr(event, "anchor", None) is not None:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise ParamsError(
                    f"{self._source}, line {line}: anchors and aliases (&, *) are not supported; write the value out"
                )
            if isinstance(event, yaml.DocumentStartEvent) and event.explicit:
                self._yaml.explicit_start = True

    def text(self) -> str:
        """The file as it is now.

        Raises:
            ParamsError: it would not be read back with `values`.
        """
        if not self._changed:
            return self._text
        text = self._dump()
        try:
            intact = same_value(parse_yaml(text), self.values)
        except (yaml.YAMLError, ValueError):
            intact = False
        if not intact:
            raise ParamsError(
                f"{self._source}: cannot be edited without a change of other values; "
                "write it in the usual form, one key a line"
            )
        return text

    def _dump(self) -> str:
        stream = io.StringIO()
        self._yaml.dump(self._root, stream)
        return stream.getvalue()

    def comment(self, section: str, key: str) -> str:
        """The comment behind a key's value or, of a block, behind its name, without the '#'."""
        keys = self._root.get(section)
        return _comment(keys, key) if isinstance(keys, CommentedMap) and key in keys else ""

    def set(self, section: str, key: str, value: Any, comment: str) -> None:
        """Give a key, which may be new, a value and a comment; nothing is touched where it has both.

        Raises:
            ParamsError: the section is no mapping.
        """
        present = self.values.get(section) or {}
        if not isinstance(present, dict):
            raise ParamsError(f"{self._source}: {section}: expected a mapping of keys, found {type(present).__name__}")
        same = key in present and same_value(present[key], value)
        if same and self.comment(section, key) == comment:
            return
        if section not in self._root:
            self._root = self._yaml.load(f"{self._dump() if self._root else ''}\n{spell(section)}:\n")
        # the lines below a value belong to its last item: they move to what is last once the value is set
        keys = self._root[section]
        place = (keys, key) if _is_block(keys) and key in keys else (self._root, section)
        below = _take_below(*place)
        if not _is_block(keys):  # empty, or in braces
            keys = self._root[section] = CommentedMap(keys or {})
            keys.fa.set_block_style()
        if not same:
            keys[key] = None  # else the old value's quotes would go around the new one
            keys[key] = self._node(value)
        line = f"{' ' * self._indent}{spell(key)}:{'' if _is_block(keys[key]) else f' {spell(value)}'}"
        _put_comment(keys, key, comment, max(COLUMN, len(line) + 2))
        _put_below(*place, below)
        self.values[section] = {**present, key: value}
        self._changed = True

    def _node(self, value: Any) -> Any:
        """What ruamel writes as `spell` does; a mapping, unless it is empty or within a list, as a block."""
        if isinstance(value, dict) and value:
            return self._yaml.load("".join(f"{spell(key)}: {spell(inner)}\n" for key, inner in value.items()))
        return self._yaml.load(f"[{spell(value)}]")[0]


def same_value(a: Any, b: Any) -> bool:
    """Whether a strict reader takes both values for the same: 1 is not 1.0, and true is not 1."""
    return repr(a) == repr(b)


def _is_block(node: Any) -> bool:
    return isinstance(node, CommentedMap | CommentedSeq) and bool(node) and not node.fa.flow_style()


# ruamel keeps the comment behind a value and all lines below it, up to the next key, in one token: of the key in its
# mapping; below a block, of the last item of the last item.


def _token(holder: Any, index: Any) -> str:
    token = (holder.ca.items.get(index) or [None] * 4)[0 if isinstance(holder, CommentedSeq) else 2]
    return str(token.value) if token else ""


def _set_token(holder: Any, index: Any, text: str, column: int | None = None) -> None:
    slots = holder.ca.items.setdefault(index, [None, None, None, None])
    slot = 0 if isinstance(holder, CommentedSeq) else 2
    if column is None:
        column = slots[slot].start_mark.column if slots[slot] else 0
    slots[slot] = CommentToken(text, CommentMark(column), None) if text.strip(" ") not in ("", "\n") else None


def _comment(keys: CommentedMap, key: Any) -> str:
    return _token(keys, key).partition("\n")[0].strip().removeprefix("#").strip()


def _put_comment(keys: CommentedMap, key: Any, comment: str, column: int) -> None:
    below = _token(keys, key).partition("\n")[2]
    _set_token(keys, key, f"{f'# {comment}' if comment else ''}\n{below}", column)


def _last_item(holder: Any, index: Any) -> tuple[Any, Any]:
    while _is_block(holder[index]):
        holder = holder[index]
        index = len(holder) - 1 if isinstance(holder, CommentedSeq) else next(reversed(holder))
    return holder, index


def _take_below(holder: Any, index: Any) -> str:
    holder, index = _last_item(holder, index)
    comment, _, below = _token(holder, index).partition("\n")
    _set_token(holder, index, f"{comment}\n")
    return below


def _put_below(holder: Any, index: Any, below: str) -> None:
    holder, index = _last_item(holder, index)
    comment = _token(holder, index).partition("\n")[0]
    _set_token(holder, index, f"{comment}\n{below}")
