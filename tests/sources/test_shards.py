"""Tar shards: webdataset groups and plain folders; a hostile member refuses the whole shard, by name."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError
from pipeline.sources import members as members_module

Member = tuple[str, bytes]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a tar of (name, content) members, and TarInfo as they are."""

    def build(members: Iterable[Member | tarfile.TarInfo], name: str = "train-000.tar") -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as tar:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    tar.addfile(member)
                else:
                    info = tarfile.TarInfo(member[0])
                    info.size = len(member[1])
                    tar.addfile(info, io.BytesIO(member[1]))
        return path

    return build


GROUPS: list[Member] = [
    ("a/001.cls", b"dog\n"),
    ("a/001.jpg", b"one"),
    ("a/002.jpg", b"two"),
    ("a/002.json", json.dumps({"label": "cat", "domain": "sketch", "part": "val"}).encode()),
    ("a/002.txt", b"a caption"),
    ("a/003.seg.png", b"three"),
    ("a/003.cls", b"dog"),
]


def test_the_json_of_a_key_may_name_a_group_of_images(write: Write) -> None:
    facts = json.dumps({"label": "cat", "group": 7}).encode()
    source = open_with(
        write([("1.jpg", b"one"), ("1.json", facts), ("2.jpg", b"two"), ("2.cls", b"cat")], "s.tar"), name="p"
    )
    assert [entry.group for entry in source] == ["7", ""]


@pytest.mark.parametrize("name", ["train-000.tar", "train-000.tar.gz", "train-000.tgz"])
def test_webdataset_groups(write: Write, name: str) -> None:
    source = open_with(write(GROUPS, name), name="pets")
    assert [(e.target, e.part, e.read()) for e in source] == [
        ("pets/dog/train-000-001.jpg", "", b"one"),
        ("sketch/cat/train-000-002.jpg", "val", b"two"),
        ("pets/dog/train-000-003.png", "", b"three"),
    ]


def test_a_folder_of_shards_is_one_source(write: Write, tmp_path: Path) -> None:
    write([("x.cls", b"dog"), ("x.jpg", b"1")], "s-0.tar")
    write([("x.cls", b"cat"), ("x.jpg", b"2")], "s-1.tar")
    source = open_with(tmp_path, name="pets")
    assert source.kind == "shards"
    assert [e.target for e in source] == ["pets/dog/s-0-x.jpg", "pets/cat/s-1-x.jpg"]
    assert [e.read() for e in source] == [b"1", b"2"]


def test_plain_folders_in_a_tar(write: Write) -> None:
    both = write([("./top/photo/dog/1.jpg", b"1"), ("./top/sketch/dog/1.jpg", b"2"), ("./top/README", b"")])
    assert [e.target for e in open_with(both)] == ["photo/dog/1.jpg", "sketch/dog/1.jpg"]
    classes = write([("dog/1.jpg", b"1"), ("dog/._1.jpg", b"mac"), ("__MACOSX/dog/1.jpg", b"mac")], "c.tar")
    assert [e.target for e in open_with(classes, name="pets")] == ["pets/dog/1.jpg"]
    nested = write([("dtd/images/dotted/1.jpg", b"1"), ("dtd/images/woven/2.jpg", b"2")], "dtd.tar.gz")
    assert [e.target for e in open_with(nested, open_set="dtd")] == [
        "open_sets/dtd/dotted/1.jpg",
        "open_sets/dtd/woven/2.jpg",
    ]
    with pytest.raises(DataError, match="an open set is class/image"):
        open_with(write([("a/b/x/1.jpg", b""), ("a/c/x/1.jpg", b"")], "two.tar"), open_set="dtd")


def test_a_json_that_is_beside_no_image_does_not_make_groups(write: Write) -> None:
    """Exports keep their own notes: only an image and a .json of the same key are webdataset's."""
    source = open_with(write([("info.json", b"{}"), ("dog/1.jpg", b"1"), ("cat/1.jpg", b"2")]), name="pets")
    assert [e.target for e in source] == ["pets/dog/1.jpg", "pets/cat/1.jpg"]
    assert source.left_out.lines() == ["left out, not images: 1: info.json"]


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("member", "named"),
    [
        (("../evil.jpg", b"x"), r"member '\.\./evil\.jpg': a path with '\.\.'"),
        (("dog/../../evil.jpg", b"x"), r"a path with '\.\.'"),
        (("/etc/cron.jpg", b"x"), r"member '/etc/cron\.jpg': an absolute path"),
        (special("dog/l.jpg", tarfile.SYMTYPE, "/etc/passwd"), r"member 'dog/l\.jpg': a link, a device"),
        (special("dog/h.jpg", tarfile.LNKTYPE, "dog/1.jpg"), r"member 'dog/h\.jpg': a link, a device"),
        (special("dog/null.jpg", tarfile.CHRTYPE), "a link, a device"),
        (special("dog/fifo.jpg", tarfile.FIFOTYPE), "a link, a device"),
        (("dog/deeper/2.jpg", b"x"), "an image beside folders"),
    ],
)
def test_a_hostile_member_refuses_the_shard_before_any_image(
    write: Write, member: Member | tarfile.TarInfo, named: str
) -> None:
    with pytest.raises(DataError, match=named):
        open_with(write([("dog/1.jpg", b"1"), member]), name="pets")


def test_sizes_and_counts_are_limited(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_module, "MAX_MEMBER", 2000)
    with pytest.raises(DataError, match=r"member 'dog/big\.jpg': 3,000 bytes, more than 2,000"):
        open_with(write([("dog/big.jpg", b"x" * 3000)]), name="pets")
    info = tarfile.TarInfo("dog/1.jpg")
    info.pax_headers = {"comment": "x" * 50_000}  # a header that claims much memory for itself
    with tarfile.open(tmp_path / "pax.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with pytest.raises(DataError, match=r"pax\.tar: damaged, or not a tar: a header of"):
        open_with(tmp_path / "pax.tar", name="pets")
    monkeypatch.setattr(members_module, "MAX_MEMBERS", 1)
    with pytest.raises(DataError, match="more than 1 members"):
        open_with(write([("dog/1.jpg", b"1"), ("dog/2.jpg", b"2")]), name="pets")


def test_damaged_files_are_refused(write: Write, tmp_path: Path) -> None:
    whole = write([("dog/1.jpg", b"1" * 5000), ("dog/2.jpg", b"2" * 5000)]).read_bytes()
    for name, content in (
        ("cut.tar", whole[:6000]),
        ("text.tar", b"hello" * 300),
        ("cut.tar.gz", gzip.compress(whole)[:-30]),
        ("plain.tar.gz", whole),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="damaged, or not a tar"):
            list(open_with(tmp_path / name, name="pets"))


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([("1.jpg", b"x"), ("1.json", b'{"caption": "dog"}')], r"1\.jpg: no class"),
        ([("1.jpg", b"x"), ("1.json", b"[1]")], r"its \.json is not a mapping"),
        ([("1.jpg", b"x"), ("1.json", b"{")], r"its \.json is not valid JSON"),
        ([("1.jpg", b"x"), ("1.cls", b"\xff\xfe")], r"its \.cls is not UTF-8 text"),
        ([("1.jpg", b"x"), ("1.png", b"y"), ("1.cls", b"dog")], "expected one image per key, found 2"),
        ([("1.jpg", b"x"), ("1.cls", b"../dog")], "is neither domain/class/image"),
        (
            [("1.jpg", b"x"), ("1.json", b'{"label": "dog", "part": "holdout"}')],
            "unknown part 'holdout'; expected train",
        ),
        ([("1.jpg", b"x"), ("1.cls", b"d" * 2_000_000)], "not a label file: 2,000,000 bytes"),
        ([("1.txt", b"x")], "no images found in the tar"),
    ],
)
def test_groups_without_a_label_are_refused(write: Write, members: list[Member], named: str) -> None:
    with pytest.raises(DataError, match=named):
        list(open_with(write(members), name="pets"))


def test_a_domain_must_be_known_and_known_once(write: Write) -> None:
    with pytest.raises(ParamsError, match="names no domain"):
        open_with(write([("1.jpg", b"x"), ("1.cls", b"dog")]))
    with pytest.raises(ParamsError, match=r"--domain photo: .* its \.json names a domain"):
        list(open_with(write(GROUPS), domain="photo"))
