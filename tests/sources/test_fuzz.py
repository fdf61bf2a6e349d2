"""Any tree of folders and files is either taken, with counts that add up to what is on disk, or refused by name.

What is an image is decided elsewhere and may grow; only plain pictures and plain texts are held to be what they are.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from opening import open_with
from pictures import picture

from pipeline.cli.presets import folder_preset
from pipeline.data.layout import is_hidden, parse_place, printable
from pipeline.data.listing import list_images
from pipeline.data.parts import plain_part
from pipeline.errors import CroftError
from pipeline.sources import Source, SourceOptions, report
from pipeline.tables import PARTS, PARTS_FILE

PICTURE, TEXT, HEIC, NOTHING = picture(1), b"some text\n", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b""
PARTED = ["train", "Train", "val", "valid", "VALIDATION", "dev", "test", "testing"]
PLAIN = ["photo", "sketch", "cat", "dog", "Dog", "größe", "gro\u0308ße", "犬", "🐈", "a b", "archive", "Data"]
ODD = ["open_sets", "mean", "*", "classes", ".hidden", "__MACOSX", " cat", "cat ", "c\nat", "a\\b", "\udcff", "x" * 250]
STEMS = ["1", "2", "a b", "ñ", ".3", "train-1", "x\ty", "\udcfe", "y" * 245, "Thumbs", "parts", "metadata"]
ENDINGS = [".png", ".PNG", ".jpg", ".jfif", ".heic", ".gif", ".txt", ".xml", ".csv", ".json", ".zip", ".db", ""]


class File(NamedTuple):
    folders: tuple[str, ...]
    name: str
    content: bytes | None  # None: a pipe
    link: bool = False  # to the first file of the tree, or to its folder


names = st.sampled_from([*PLAIN * 5, *PARTED * 2, *ODD])
stems = st.sampled_from([*STEMS[:4], *STEMS])
files = st.builds(
    File,
    st.lists(names, max_size=4).map(tuple),
    st.builds(str.__add__, stems, st.sampled_from([*ENDINGS[:3] * 4, *ENDINGS])),
    st.sampled_from([*[PICTURE] * 8, TEXT, HEIC, NOTHING, None]),
    st.sampled_from([False] * 12 + [True]),
)


@st.composite
def odd_trees(draw: st.DrawFn) -> list[File]:
    """Files anywhere; or, more often, folders as people have them, and a few files that do not belong there."""
    anywhere = draw(st.lists(files, max_size=3))
    depth = draw(st.integers(-1, 3))
    if depth < 0:
        return [*anywhere, *draw(st.lists(files, min_size=1, max_size=7))]
    levels = [draw(st.lists(names, min_size=1, max_size=2)) for _ in range(depth)]
    places = draw(st.lists(st.tuples(*map(st.sampled_from, levels)), min_size=2, max_size=4))
    inside = [File(place, f"{draw(stems)}.png", PICTURE) for place in places]
    stray = [File(draw(st.sampled_from(places)), *file[1:]) for file in anywhere[1:]]
    return [*inside, *stray, *anywhere[:1]] if draw(st.booleans()) else [*inside, *stray]


folders = st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), max_size=2)  # without files


@st.composite
def regular_trees(draw: st.DrawFn) -> tuple[list[File], dict[str, str]]:
    """A tree of one of the layouts, and what must become of it: place in the data set to part."""
    levels = draw(st.sampled_from(["c", "dc", "pc", "dpc", "pdc"]))
    label = st.text(st.characters(categories=("L", "N", "M", "S")), min_size=1, max_size=8).filter(_is_free)
    classes = draw(st.lists(label, min_size=2, max_size=4, unique=True))
    domains = draw(st.lists(label, min_size=2, max_size=3, unique=True)) if "d" in levels else ["pets"]
    parts = draw(st.lists(st.sampled_from(PARTED), min_size=1, max_size=3, unique=True)) if "p" in levels else [""]
    outer = tuple(draw(st.lists(label, max_size=2)))
    tree, becomes = [], {}
    for domain in domains:
        for class_ in classes:
            for part in parts:
                above = {"c": class_, "d": domain, "p": part}
                for number in range(draw(st.integers(1, 2))):
                    ending = draw(st.sampled_from([".png", ".PNG", ".jpg"]))
                    tree.append(File((*outer, *(above[level] for level in levels)), f"{number}{ending}", PICTURE))
                    tag = f"{part}-" if part else ""
                    becomes[f"{domain}/{class_}/{tag}{number}{ending}"] = plain_part(part) if part else ""
    assume(not outer or levels != "c")  # a single folder above the classes is their domain
    return tree, becomes


def _is_free(name: str) -> bool:
    return plain_part(name) not in PARTS and not is_hidden(name)


@contextmanager
def written(tree: list[File], empty: list[tuple[str, ...]] = []) -> Iterator[Path]:  # noqa: B006
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "given"
        root.mkdir()
        first: Path | None = None
        for file in tree:
            path = root.joinpath(*file.folders, file.name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if os.path.lexists(path):
                    continue
                if file.link and first is not None:
                    path.symlink_to(first if len(file.folders) % 2 else first.parent)
                elif file.content is None:
                    os.mkfifo(path)
                else:
                    path.write_bytes(file.content)
            except OSError:  # a file where a folder should be, or a name that this file system has not
                continue
            first = first or path
        for names in empty:
            try:
                root.joinpath(*names).mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
        yield root


def on_disk(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, what it is) of each file, hidden name and empty folder, by means of our own."""
    inside = list(os.scandir(folder))
    if not inside:
        yield folder, "empty"
    for entry in inside:
        path = Path(entry.path)
        if is_hidden(entry.name):
            yield path, "hidden"
        elif entry.is_dir():
            yield from on_disk(path)
        else:
            yield path, "file"


def check_taken(root: Path, source: Source, entries: list) -> None:
    listed = dict(on_disk(root))
    own = int((root / PARTS_FILE).is_file() and any("parts from" in note for note in source.notes))
    assert source.taken.images == len(entries)
    assert len(entries) + source.left_out.total + own == len(listed), "something vanished"
    targets = [entry.target for entry in entries]
    assert len(set(targets)) == len(targets)
    origins = {entry.origin for entry in entries}
    assert len(origins) == len(entries)
    for path, kind in listed.items():
        content = path.read_bytes() if kind == "file" and path.is_file() else None
        if content == PICTURE and path.suffix.lower() in (".png", ".jpg"):
            assert printable(str(path)) in origins, "a picture was left out"
        if kind != "file" or content is None or (content == TEXT and path.suffix in (".txt", ".xml", "")):
            assert printable(str(path)) not in origins, "what is no picture was taken"
    for entry in entries:
        assert entry.file is not None
        assert entry.file.is_relative_to(root)
        place = parse_place(entry.target)
        above = Path(entry.origin).relative_to(printable(str(root))).parent.parts
        assert place is not None
        assert place.class_ == above[-1], "a class is the folder that an image is in"
        assert entry.part in ("", *map(plain_part, above[:-1])) or own, "a part is a folder above"
    lines = report(source)
    said = [int(re.match(r"left out, [^:]*: ([\d,]+)", line)[1]) for line in lines if line.startswith("left out")]
    assert sum(said) == source.left_out.total
    assert any(line.startswith(f"taken: {len(entries)} image") for line in lines)


def check_refusal(root: Path, error: CroftError) -> None:
    message = str(error)
    assert printable(str(root)) in message, f"names nothing: {message}"
    assert message.isprintable(), "one line that every terminal can show"


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(odd_trees(), folders, st.booleans())
def test_nothing_vanishes(tree: list[File], empty: list[tuple[str, ...]], domains: bool) -> None:
    with written(tree, empty) as root:
        try:
            source = open_with(root, name="pets", domains=domains)
            entries = list(source)
        except CroftError as error:
            event("refused")
            check_refusal(root, error)
            return
        event("taken")
        check_taken(root, source, entries)
        before = report(source)
        assert [entry.target for entry in source] == [entry.target for entry in entries]  # walked anew, counted anew
        assert report(source) == before
        try:
            preset = folder_preset(root, "pets", SourceOptions(domains=domains))
        except CroftError as error:  # too few images or classes for a run
            check_refusal(root, error)
            return
        assert list(preset.report) == before


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(regular_trees(), st.lists(st.sampled_from(["notes.txt", "labels.xml", "LICENSE", "Thumbs.db"]), unique=True))
def test_every_layout_is_taken_whole_and_what_it_becomes_is_what_ingest_lists(
    regular: tuple[list[File], dict[str, str]], others: list[str]
) -> None:
    tree, becomes = regular
    litter = [File(tree[0].folders, name, TEXT) for name in others]
    with written([*tree, *litter]) as root, tempfile.TemporaryDirectory() as data:
        assume(len(dict(on_disk(root))) == len(tree) + len(litter))  # no two names are one to this file system
        source = open_with(root, name="pets")
        entries = list(source)
        assert {entry.target: entry.part for entry in entries} == becomes
        check_taken(root, source, entries)
        for entry in entries:
            stored = Path(data) / entry.target
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_bytes(entry.read())
        assert list_images(Path(data)).paths == sorted(becomes)
        assert list_images(Path(data)).refused == []
