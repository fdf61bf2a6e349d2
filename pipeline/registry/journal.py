"""Which version was champion when: an append-only journal, since aliases keep no history. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

PREFIX = "promotion."
"""Each entry is its own tag on the registered model, named by its time, so that no writer overwrites another's."""


@dataclass(frozen=True)
class Entry:
    """One move of the alias.

    Attributes:
        time: UTC, ISO 8601 with microseconds.
        action: promote or rollback.
        before, after: version numbers; before is "" for the first champion.
        forced: the gate had refused.
        reason: what the person gave as reason.
    """

    time: str
    action: str
    before: str
    after: str
    forced: bool = False
    reason: str = ""

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
    """The stack of champions, the present champion last: a promotion pushes a version, a rollback pops one.

    Args:
        journal: oldest first.
        present: the version that carries the alias now ("" for none); it overrules the journal, since the alias may
            have been moved by other means.
    """
    stack: list[str] = []
    for entry in journal:
        if entry.before and (not stack or stack[-1] != entry.before):
            stack.append(entry.before)
        if entry.action == "rollback" and entry.after in stack:
            del stack[len(stack) - stack[::-1].index(entry.after) :]
        elif not stack or stack[-1] != entry.after:
            stack.append(entry.after)
    if present and (not stack or stack[-1] != present):
        stack.append(present)
    return stack
