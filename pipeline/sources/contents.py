"""What an archive holds, before any image is taken: groups of webdataset, or folders of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.errors import DataError
from pipeline.images import SHOWN
from pipeline.sources.archives import is_archive
from pipeline.sources.members import Member
from pipeline.sources.tree import Folders, Tree, unlabelled

LABELS = (".cls", ".json")
"""Endings of webdataset's files of labels."""

_TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.json")  # they label images by their paths
_NO_CLASSES = ("data", "image", "images", "img", "imgs")


@dataclass
class Contents:
    """What the members' names say, and the first bytes of those whose ending is no image's.

    Attributes:
        images: how many have a label.
        firsts: each folder that holds such images, and the name of one of them.
        rest: each folder that holds other files, and their names.
        groups: whether an image and a label file have the same key, so that this is webdataset.
        json: whether a label file is a .json, which may name domains.
        without: of images without a label, why they have none; "" where there are none.
    """

    images: int = 0
    firsts: dict[Folders, str] = field(default_factory=dict)
    rest: dict[Folders, list[str]] = field(default_factory=dict)
    groups: bool = False
    json: bool = False
    without: str = ""
    others: set[str] = field(default_factory=set)  # names of tables and archives, which explain a refusal
    key: str = ""
    beside: set[str] = field(default_factory=set)  # kinds of files that the present key has

    def add(self, member: Member) -> None:
        """Look at the next member, unless it is hidden.

        Raises:
            DataError: it is damaged.
        """
        if member.hidden:
            return
        path, suffix = member.path, member.path.suffix.lower()
        key = group_key(path)
        if key != self.key:
            self.end()
            self.key = key
        if member.is_image:
            self.beside.add("image")
            if reason := unlabelled(path.parent.parts):
                self.without = reason
            else:
                self.images += 1
                self.firsts.setdefault(path.parent.parts, path.name)
        else:
            if suffix in LABELS:
                self.beside.add(suffix)
            if not self.groups:  # of which there may be millions, and folders are no classes
                self.rest.setdefault(path.parent.parts, []).append(path.name)
        if path.name.lower() in (*_TABLES, "synsets.txt") or suffix == ".csv" or is_archive(path):
            self.others.add(str(path))

    def tree(self) -> Tree:
        """The folders, as those of a folder on disk."""
        tree = Tree(dict(self.firsts), {(): []})
        for folders in (*self.firsts, *self.rest):
            tree.add(folders)
        for folders, names in self.rest.items():
            tree.others[folders] += names
        for folders in self.firsts:
            del tree.others[folders]
        return tree

    def end(self) -> None:
        """The members of a key, or of an archive, are complete."""
        if "image" in self.beside and len(self.beside) > 1:
            self.groups = True
            self.json |= ".json" in self.beside
        self.beside.clear()


def instead(held: Contents) -> str:
    """What an archive holds instead of images, or besides images without classes, and what to do."""
    if not held.images:
        inner = [name for name in sorted(held.others) if is_archive(PurePosixPath(name))]
        if inner:
            return f"; it holds {inner[0]}, so unpack it and add that file"
        if any(name.endswith("synsets.txt") for name in held.others):
            return "; it looks like an export of CVAT without images, so export it again with 'Save images'"
        return f"; expected {SHOWN}"
    tables = [name for name in sorted(held.others) if name.lower().endswith((*_TABLES, ".csv"))]
    return f"; {tables[0]} may name them, so unpack the archive and add its folder or that file" if tables else ""


def check_tables(path: Path, held: Contents) -> None:
    """Refuse folders that are no classes, since a table says what their images are.

    Raises:
        DataError: naming the folders and the table.
    """
    names = sorted({folders[-1] for folders in held.firsts if folders})
    beside = {name.rpartition("/")[2].lower() for name in held.others}
    listed = not beside.isdisjoint(_TABLES[:3]) or ("data" in names and _TABLES[3] in beside)
    if listed or (names and all(name.lower() in _NO_CLASSES for name in names)):
        where = f" in {', '.join(names[:3])}/" if names else ""
        raise DataError(f"{path}: images{where} without folders of classes{instead(held)}")


def group_key(member: PurePosixPath) -> str:
    """The key that the members of one group of webdataset share."""
    return str(member.parent / member.name.split(".", 1)[0])
