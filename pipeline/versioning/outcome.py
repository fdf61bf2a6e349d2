"""What an addition did, for the person who started it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.console import say
from pipeline.data.catch_all import says_unknown
from pipeline.data.refused import problem_lines
from pipeline.sources import report
from pipeline.versioning.adding import Addition
from pipeline.versioning.contents import count
from pipeline.versioning.history import Version, history_path
from pipeline.versioning.names import FOLDER
from pipeline.versioning.pointer import pointer_path
from pipeline.versioning.show import headline, print_difference, print_names, print_version

if TYPE_CHECKING:
    from rich.console import Console

_FEWEST = 2  # known classes that training needs


def print_addition(addition: Addition, console: Console, *, used: str) -> None:
    """What the source was understood as, the version, what changed, and what to do next.

    Args:
        addition: after its steps.
        console: where to print.
        used: data.root of params.yaml.
    """
    name, version, source = addition.name, addition.version, addition.source
    if version is None:
        return
    for line in report(source):
        say(line, console)
    counts = count(addition.files)
    print_version(name, version, counts, console)
    class_names = [f"{folder}: {called}" for folder, called in source.class_names.items()]
    print_names("Class names that came with the source, for backbone.class_names", class_names, console)
    print_names("Left out, because they cannot be used", problem_lines(addition.bad), console)
    print_names("Damaged, but taken, since the whole picture can be read", addition.defects, console)
    print_names("Kept, though the source no longer has them (--prune drops them)", addition.kept, console)
    if not addition.is_new and addition.before and addition.before.number == version.number:
        say(f"Nothing changed: {name} is still version {version.number}", console)
        return
    _print_changes(addition, version, console)
    say(f"Under DVC{' and pushed to its remote' if addition.pushed else ''}. Commit:", console)
    files = [pointer_path(Path(), name), history_path(Path(), name), FOLDER / ".gitignore"]
    say(f"  git add {' '.join(path.as_posix() for path in files)}", console)
    if sum(not says_unknown(name) for name in counts.classes) < _FEWEST:
        held = ", ".join([*counts.classes, *(f"open set {pool}" for pool in counts.pools)])
        say(f"To train on it, add images of at least {_FEWEST} known classes (now: {held}):", console)
        say(f"  croft data add PATH --name {name}", console)
    elif used != (FOLDER / name).as_posix():
        say(f"To use it: croft use folder {FOLDER.as_posix()}/{name}", console)


def _print_changes(addition: Addition, version: Version, console: Console) -> None:
    name, before = addition.name, addition.before.number if addition.before else 0
    if not addition.is_new:
        say(f"Identical to version {version.number} of {name}; no new version was created", console)
    if addition.difference is None:
        advice = f"fetch it with `croft data use {name}@{before}`"
        say(f"Cannot compare with version {before}: its file list is not in DVC's cache; {advice}", console)
    elif before:
        say(f"Since version {before}: {headline(addition.difference)}", console)
        print_difference(addition.difference, console)
