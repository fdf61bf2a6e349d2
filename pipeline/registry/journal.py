"""Which version was champion when: the entries of the journal, since aliases keep no history. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

PREFIX = "promotion."
"""Stores of before the epochs have their entries in tags on the registered model, named by time."""
PROMOTE, ROLLBACK, FOREIGN = "promote", "rollback", "foreign"


@dataclass(frozen=True)
class Entry:
    """One move of the alias.

    Attributes:
        time: UTC, ISO 8601 with microseconds.
        action: promote, rollback, or foreign where other hands moved the alias.
        before, after: version numbers; before is "" for the first champion, after is "" where the alias was removed.
        forced: the gate had refused.
        reason: what the person gave as reason.
        epoch: counts the moves of a model from 1; 0 for an entry in a tag.
        who: user and host.
        verdict: id of the gate's verdict, "" where there was none.
        over: the version to which other hands had moved the alias since `before`, "" for none.
    """

    time: str
    action: str
    before: str
    after: str
    forced: bool = False
    reason: str = ""
    epoch: int = 0
    who: str = ""
    verdict: str = ""
    over: str = ""

    @property
    def key(self) -> str:
        """Name of its tag; sorts by time."""
        return PREFIX + "".join(character for character in self.time if character.isalnum() or character == ".")

    def to_json(self) -> str:
        """As text for a tag."""
        return json.dumps(asdict(self), sort_keys=True)


def entries(tags: Mapping[str, str]) -> list[Entry]:
    """The journal in a registered model's tags, oldest first; unreadable entries are skipped."""
    journal = []
    for key in sorted(tags):
        if key.startswith(PREFIX):
            try:
                journal.append(Entry(**json.loads(tags[key])))
            except (ValueError, TypeError):
                continue
    return sorted(journal, key=lambda entry: entry.time)


def champions(journal: Sequence[Entry], present: str) -> list[str]:
    """The stack of champions, each once, the present champion last: where rollbacks lead, one after the other.

    A promotion puts its version on top. A move back, by a rollback or by other hands, takes off all that is above its
    target, and the version that it left: a second rollback goes further back, never forth again.

    Args:
        journal: oldest first.
        present: the version that carries the alias now ("" for none); it overrules the journal, since the alias may
            have been moved by other means.
    """
    stack: list[str] = []
    for entry in journal:
        if entry.before and (not stack or stack[-1] != entry.before):
            _put(stack, entry.before)
        back = entry.action == ROLLBACK or (entry.action == FOREIGN and entry.after in stack)
        if back and stack and stack[-1] == entry.before:
            stack.pop()
        if back and entry.after in stack:
            del stack[stack.index(entry.after) + 1 :]
        elif entry.after:
            _put(stack, entry.after)
    if present and (not stack or stack[-1] != present):
        _put(stack, present)
    return stack


def _put(stack: list[str], version: str) -> None:
    if version in stack:
        stack.remove(version)
    stack.append(version)
