"""Names that say which images train and which test.

parts.csv at the data root is a record of parts (`given`). Folders that are called so are none: in a data root they are
domains, which somebody must have said.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.data.layout import printable, versions_file
from pipeline.data.listing import entries
from pipeline.errors import DataError
from pipeline.phrases import shorten
from pipeline.tables import PARTS, PARTS_FILE

_NAMES = {
    **dict.fromkeys(("training", "train_set", "training_set"), "train"),
    **dict.fromkeys(("valid", "validation", "crossval", "dev", "val_set", "validation_set"), "val"),
    **dict.fromkeys(("testing", "test_set", "testing_set"), "test"),
}
_NAMED = 4  # folders that an error names


def plain_part(name: str) -> str:
    """The part that a name of any case or of another tool means; the name itself where that is not known."""
    return _NAMES.get(name.lower(), name.lower())


def is_part(name: str) -> bool:
    """Whether a folder is called as a part is."""
    return plain_part(name) in PARTS


def are_domains(root: Path) -> bool:
    """Whether it is on record that the folders of a data root are domains, whatever they are called.

    `croft data add` made it, which asks (--domains); or its parts are in parts.csv.
    """
    return versions_file(root).is_file() or (root / PARTS_FILE).is_file()


def check_domains(root: Path) -> None:
    """Refuse domains that are called as parts, unless `are_domains`: a split would be taken for a shift of domains.

    Args:
        root: of the data; nothing is checked where it is missing.
    Raises:
        DataError: naming the folders, and the commands for both meanings.
    """
    if not root.is_dir() or are_domains(root):
        return
    named = [printable(entry.name) for entry in entries(root) if is_part(entry.name) and entry.is_dir()]
    if named:
        folders = f"the folder {named[0]} is" if len(named) == 1 else f"the folders {shorten(named, _NAMED)} are"
        raise DataError(
            f"{root}: {folders} called as parts of a split are, and nothing says that they are domains; "
            f"`croft data add {root} --name NEW` makes a data set with these parts, and with --domains one with these "
            "domains; then set data.root: data/NEW"
        )
