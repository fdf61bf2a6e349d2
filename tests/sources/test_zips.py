"""Zips are read like tars: the same layouts, and a member that could do harm refuses the whole archive, by name."""

from __future__ import annotations

import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opening import open_with

from pipeline.errors import DataError, ParamsError
from pipeline.sources import members as members_module
from pipeline.sources import zips as zips_module

Member = tuple[str | zipfile.ZipInfo, bytes]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a zip of (name or ZipInfo, content) members."""

    def build(members: Iterable[Member], name: str = "pets.zip", method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", method) as archive:
            for member, content in members:
                archive.writestr(member, content)
        return path

    return build


def names(*paths: str) -> list[Member]:
    return [(path, path.encode()) for path in paths]


@pytest.mark.parametrize(
    ("paths", "options", "targets"),
    [
        # as they are
        (["cat/1.jpg", "dog/1.jpg"], {"name": "pets"}, ["pets/cat/1.jpg", "pets/dog/1.jpg"]),
        (["photo/dog/1.jpg", "sketch/dog/1.jpg"], {}, ["photo/dog/1.jpg", "sketch/dog/1.jpg"]),
        # below folders that only keep them together
        (["a/photo/dog/1.jpg", "a/sketch/dog/1.jpg"], {}, ["photo/dog/1.jpg", "sketch/dog/1.jpg"]),
        (["a/b/c/photo/dog/1.jpg", "a/b/c/sketch/dog/1.jpg"], {}, ["photo/dog/1.jpg", "sketch/dog/1.jpg"]),
        # one folder above the classes is the domain, unless it is named
        (["PetImages/Cat/1.jpg", "PetImages/Dog/1.jpg"], {}, ["PetImages/Cat/1.jpg", "PetImages/Dog/1.jpg"]),
        (["PetImages/Cat/1.jpg", "PetImages/Dog/1.jpg"], {"domain": "photo"}, ["photo/Cat/1.jpg", "photo/Dog/1.jpg"]),
        # as an open set
        (["dtd/images/dotted/1.jpg", "dtd/images/woven/1.jpg"], {"open_set": "dtd"},
         ["open_sets/dtd/dotted/1.jpg", "open_sets/dtd/woven/1.jpg"]),
        # what macOS and Windows leave
        (["dog/1.jpg", "dog/Thumbs.db", "__MACOSX/dog/._1.jpg", "dog/.hidden.jpg"], {"name": "p"}, ["p/dog/1.jpg"]),
        # webdataset groups
        (["000.cls", "000.jpg"], {"name": "p"}, ["p/000.cls/pets-000.jpg"]),
    ],
)  # fmt: skip
def test_layouts(write: Write, paths: list[str], options: dict[str, str], targets: list[str]) -> None:
    source = open_with(write(names(*paths)), **options)
    assert source.kind == "shards"
    assert [entry.target for entry in source] == targets
    assert all(entry.read() for entry in source)


def test_bytes_are_those_of_the_members(write: Write) -> None:
    (first, second) = open_with(write([("dog/2.jpg", b"two" * 1000), ("dog/1.jpg", b"one")]), name="pets")
    assert (first.read(), second.read()) == (b"one", b"two" * 1000)
    assert first.origin.endswith("pets.zip: dog/1.jpg")


def test_train_and_test_are_parts_not_domains(write: Write) -> None:
    paths = ["Data/train/cat/1.jpg", "Data/train/dog/1.jpg", "Data/Validation/cat/1.jpg", "Data/test/dog/1.jpg"]
    source = open_with(write(names(*paths)), name="pets")
    assert {(entry.target, entry.part) for entry in source} == {
        ("pets/cat/train-1.jpg", "train"),
        ("pets/dog/train-1.jpg", "train"),
        ("pets/cat/Validation-1.jpg", "val"),
        ("pets/dog/test-1.jpg", "test"),
    }
    assert source.notes[0].endswith("pets.zip: class/image below Data/, taken as the domain 'pets'")
    assert "train, Validation (val) and test are parts, not domains" in source.notes[1]
    as_domains = {entry.target for entry in open_with(write(names(*paths)), domains=True)}
    assert as_domains == {"train/cat/1.jpg", "train/dog/1.jpg", "Validation/cat/1.jpg", "test/dog/1.jpg"}
    for paths in (
        ["train/photo/cat/1.jpg", "test/sketch/cat/1.jpg"],
        ["photo/train/cat/1.jpg", "sketch/test/cat/1.jpg"],
    ):
        entries = list(open_with(write(names(*paths))))
        assert {(entry.target, entry.part) for entry in entries} == {
            ("photo/cat/train-1.jpg", "train"),
            ("sketch/cat/test-1.jpg", "test"),
        }


def test_a_folder_of_zips_is_one_source(write: Write, tmp_path: Path) -> None:
    write(names("clipart/dog/1.jpg"), "clipart.zip")
    write(names("real/dog/1.jpg"), "real.zip")
    assert [entry.target for entry in open_with(tmp_path)] == ["clipart/dog/1.jpg", "real/dog/1.jpg"]
    (tmp_path / "loose.jpg").write_bytes(b"an image beside its download")
    assert open_with(tmp_path, open_set="loose").kind == "folder"


def test_an_export_of_cvat(write: Write) -> None:
    """ImageNet 1.0 of CVAT: a folder per label, and no_label/ for images that have none."""
    paths = ["cat/cat_1.jpg", "dog/dog_1.jpg", "no_label/2.jpg", "no_label/3.jpg"]
    source = open_with(write(names(*paths)), name="pets")
    assert [entry.target for entry in source] == ["pets/cat/cat_1.jpg", "pets/dog/dog_1.jpg"]
    assert source.left_out.lines() == [
        "left out, in no_label/, where CVAT puts images without a label: 2: no_label/2.jpg, no_label/3.jpg"
    ]
    with pytest.raises(DataError, match=r"an export of CVAT without images, so export it again with 'Save images'"):
        open_with(write(names("default.txt", "synsets.txt")), name="pets")
    with pytest.raises(
        DataError, match=r"no images found in the zip but those in no_label/, where CVAT puts images wi"
    ):
        open_with(write(names("no_label/1.jpg")), name="pets")


def link(name: str, target: str = "/etc/passwd") -> Member:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def pipe(name: str) -> Member:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFIFO | 0o600) << 16
    return info, b""


@pytest.mark.parametrize(
    ("member", "named"),
    [
        (("../evil.jpg", b"x"), r"member '\.\./evil\.jpg': a path with '\.\.'"),
        (("dog/../../evil.jpg", b"x"), r"a path with '\.\.'"),
        (("..\\evil.jpg", b"x"), r"member '\.\./evil\.jpg': a path with '\.\.'"),
        (("/etc/cron.jpg", b"x"), r"member '/etc/cron\.jpg': an absolute path"),
        (("C:/x/evil.jpg", b"x"), r"member 'C:/x/evil\.jpg': an absolute path"),
        (("../folder/", b""), r"a path with '\.\.'"),
        (link("dog/l.jpg"), r"member 'dog/l\.jpg': a link, a device"),
        (link("dog/inside.jpg", "1.jpg"), r"member 'dog/inside\.jpg': a link, a device"),
        (pipe("dog/fifo.jpg"), r"member 'dog/fifo\.jpg': a link, a device"),
        (("dog/deeper/2.jpg", b"x"), "an image beside folders"),
    ],
)
def test_a_hostile_member_refuses_the_zip_before_any_image(write: Write, member: Member, named: str) -> None:
    with pytest.raises(DataError, match=named):
        open_with(write([("dog/1.jpg", b"1"), member]), name="pets")


def test_sizes_and_counts_are_limited(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = write([("dog/1.jpg", bytes(3_000_000))])
    assert bomb.stat().st_size < 10_000
    monkeypatch.setattr(zips_module, "_RATIO_FROM", 2_000_000)
    with pytest.raises(DataError, match=r"1 member unpack to 3,000,000 bytes, more than 100 times the zip's size"):
        open_with(bomb, name="pets")
    monkeypatch.setattr(members_module, "MAX_MEMBER", 2_000)
    with pytest.raises(DataError, match=r"member 'dog/1\.jpg': 3,000,000 bytes, more than 2,000"):
        open_with(bomb, name="pets")
    many = write(names(*(f"dog/{number:030}.jpg" for number in range(100))))
    with pytest.raises(DataError, match="damaged, or not a zip: a header of"):  # its directory alone is larger
        open_with(many, name="pets")
    monkeypatch.undo()
    monkeypatch.setattr(members_module, "MAX_MEMBERS", 99)
    with pytest.raises(DataError, match="more than 99 members"):
        open_with(many, name="pets")


def test_a_member_that_unpacks_to_more_than_it_states_is_refused(write: Write) -> None:
    path = write([("dog/1.jpg", bytes(1_000_000))])
    content = path.read_bytes()
    assert content.count(struct.pack("<I", 1_000_000)) == 2  # in its header and in the directory
    path.write_bytes(content.replace(struct.pack("<I", 1_000_000), struct.pack("<I", 1_000)))
    with pytest.raises(DataError, match=r"member 'dog/1\.jpg': damaged: Bad CRC-32"):
        list(open_with(path, name="pets"))


def test_members_that_share_bytes_are_refused(write: Write) -> None:
    """As in a bomb of overlapping files: many entries of the directory that all unpack the same bytes."""
    path = write([("dog/1.jpg", b"1" * 500), ("dog/2.jpg", b"2" * 500)], method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)  # its bytes are said to begin where those of the first do
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"members 'dog/1\.jpg' and 'dog/2\.jpg' overlap"):
        open_with(path, name="pets")


def test_encrypted_and_unusual_members_are_refused(write: Write) -> None:
    path = write([("dog/1.jpg", b"1")])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"member 'dog/1\.jpg': encrypted; unpack the zip with its password"):
        open_with(path, name="pets")
    for method, called in ((zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")):
        with pytest.raises(DataError, match=f"packed by {called}; expected deflate"):
            open_with(write([("dog/1.jpg", b"1")], method=method), name="pets")


def test_damaged_files_are_refused(write: Write, tmp_path: Path) -> None:
    whole = write([("dog/1.jpg", b"1" * 5000), ("dog/2.jpg", b"2" * 5000)], method=zipfile.ZIP_STORED).read_bytes()
    for name, content in (("cut.zip", whole[:6000]), ("text.zip", b"hello" * 300), ("empty.zip", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: damaged, or not a zip: "):
            open_with(tmp_path / name, name="pets")
    (tmp_path / "bit.zip").write_bytes(whole.replace(b"2" * 5000, b"2" * 4999 + b"3"))
    with pytest.raises(DataError, match=r"member 'dog/2\.jpg': damaged: Bad CRC-32"):
        list(open_with(tmp_path / "bit.zip", name="pets"))


def test_names_of_other_systems(write: Write) -> None:
    """macOS writes UTF-8 and does not say so; some Windows tools write backslashes."""
    path = write([("xxxse\\1.jpg", b"1"), ("tea/2.jpg", b"2")])
    path.write_bytes(path.read_bytes().replace(b"xxxse", "Käse".encode()))
    assert {entry.target for entry in open_with(path, name="p")} == {"p/Käse/1.jpg", "p/tea/2.jpg"}


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["cat/1.jpg", "dog/1.psd", "dog/2.psd"], r"pets\.zip/dog: a class folder without images \(.*\.psd 2\)"),
        (["a.txt"], "no images found in the zip; expected JPEG, PNG"),
        (["caltech/101_ObjectCategories.tar.gz"], r"it holds caltech/101_ObjectCategories\.tar\.gz, so unpack it"),
        (["train/1.jpg", "test/2.jpg", "labels.csv"], r"hold images without class folders; .*; labels\.csv may name"),
        (["images/1.jpg", "metadata.csv"], r"images/ without folders of classes; metadata\.csv may name them, so"),
        (["data/1.jpg", "labels.json"], r"data/ without folders of classes; labels\.json may name them, so unpack"),
        (["1.jpg", "metadata.jsonl"], r"images without folders of classes; metadata\.jsonl may name them, so unpack"),
        (["train/1.jpg", "train/metadata.csv", "cat/2.jpg"], r"without folders of classes; train/metadata\.csv"),
    ],
)  # fmt: skip
def test_what_a_zip_holds_instead_is_said(write: Write, paths: list[str], named: str) -> None:
    with pytest.raises(DataError, match=named):
        open_with(write(names(*paths)), name="pets")


def test_a_domain_must_be_known_and_known_once(write: Write) -> None:
    with pytest.raises(ParamsError, match="holds class/image; name its domain with --domain"):
        open_with(write(names("dog/1.jpg")))
    with pytest.raises(ParamsError, match=r"--domain x: .*pets\.zip holds domain/class/image already"):
        open_with(write(names("photo/dog/1.jpg", "sketch/dog/1.jpg")), domain="x")


NAMES = st.sampled_from(["cat", "dog", "no_label", "train", "test", "photo", "open_sets", "no name"])
FILES = st.sampled_from(["1.jpg", "2.png", "notes.txt", "gif", "gif.txt", ".hidden", "Thumbs.db"])


def trees(depth: int) -> st.SearchStrategy[set[str]]:
    """Paths of one depth, which most layouts have, and perhaps one of another."""
    even = st.tuples(*[NAMES] * depth, FILES).map("/".join)
    odd = st.lists(NAMES, max_size=3).flatmap(lambda folders: FILES.map(lambda file: "/".join([*folders, file])))
    return st.tuples(st.sets(even, min_size=1, max_size=6), st.sets(odd, max_size=1)).map(
        lambda pair: pair[0] | pair[1]
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3).flatmap(trees))
def test_a_zip_is_understood_as_the_folder_that_it_was_made_of(paths: set[str]) -> None:
    """The same images at the same places and in the same parts, and as many left out why; or both are refused."""
    with tempfile.TemporaryDirectory() as place:
        root, path = Path(place, "pets"), Path(place, "pets.zip")
        with zipfile.ZipFile(path, "w") as archive:
            for name in sorted(paths):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(b"GIF89a" if "gif" in name else name.encode())
                archive.write(root / name, name)
        seen = []
        for given_ in (root, path):
            try:
                source = open_with(given_, name="pets")
                taken = {(entry.target, entry.part, entry.read()) for entry in source}
            except DataError:
                seen.append("refused")
            else:
                assert len(taken) + source.left_out.total == len(paths)
                seen.append(f"{sorted(taken)} {sorted(source.left_out.counts.items())}")
        assert seen[0] == seen[1]
