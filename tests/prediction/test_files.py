"""Which images paths name: folders by content, listings, and places that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.prediction.files import check_paths, count, find


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9)).save(path, "PNG")
    return path


def names(*paths: Path, without: Path | None = None) -> list[str]:
    return sorted(item.path for item in find(list(paths), without=without))


def test_a_folder_gives_its_images_by_ending_or_content(tmp_path: Path) -> None:
    kept = [image(tmp_path / "a.png"), image(tmp_path / "deep/er/no_ending"), tmp_path / "broken.jpg"]
    kept[2].write_text("an ending is enough to be looked at")
    image(tmp_path / ".hidden.png")
    image(tmp_path / ".folder/b.png")
    (tmp_path / "notes.md").write_text("no image")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.png").symlink_to(kept[0])
    (tmp_path / "circle").symlink_to(tmp_path)
    assert names(tmp_path) == sorted(map(str, [*kept, tmp_path / "link.png"]))
    assert count([tmp_path]) == 4


def test_the_folder_of_copies_is_not_looked_into(tmp_path: Path) -> None:
    kept = image(tmp_path / "a.png")
    image(tmp_path / "sorted/cat/a.png")
    assert names(tmp_path, without=tmp_path / "sorted") == [str(kept)]


def test_lines_and_tables_name_files_from_their_folder(tmp_path: Path) -> None:
    lines, table = tmp_path / "lists" / "all.txt", tmp_path / "lists" / "all.csv"
    lines.parent.mkdir()
    lines.write_bytes(b"../a, b.png\n\n/abs/c.png\r\nodd\xff.png\n")
    assert [item.path for item in find([lines])] == [
        f"{tmp_path}/lists/../a, b.png",
        "/abs/c.png",
        f"{tmp_path}/lists/odd\udcff.png",
    ]
    table.write_text('class;Image\ncat;a.png\ndog;"two\nlines.png"\n')
    assert [item.path for item in find([table])] == [f"{tmp_path}/lists/a.png", f"{tmp_path}/lists/two\nlines.png"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"name,class\nx,y\n", r"a\.csv: no column of paths; expected one of path, image"),
        ("a.csv", b"path,class\n\xff,y\n", r"a\.csv: line 2: not UTF-8"),
        ("a.csv", b'path,class\n"x,y\n', r"a\.csv: not valid CSV"),
        ("a.txt", "x.png\n".encode("utf-16"), r"a\.txt: not UTF-8; it looks like UTF-16"),
        ("a.txt", b"x" * 20_000, r"a\.txt: line 1: longer than 10,000 characters"),
    ],
)
def test_a_listing_that_is_none_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        check_paths([tmp_path / name])


def test_what_is_not_there_is_refused_before_anything(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such file or folder"):
        check_paths([tmp_path / "nowhere"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_a_problem_and_no_end(tmp_path: Path) -> None:
    kept = image(tmp_path / "a.png")
    (tmp_path / "locked").mkdir(mode=0)
    found = list(find([tmp_path]))
    assert [item.path for item in found if not item.problem] == [str(kept)]
    assert [item.problem for item in found if item.problem] == ["cannot be listed: Permission denied"]


def test_too_many_levels_are_a_problem(tmp_path: Path) -> None:
    image(tmp_path.joinpath(*["x"] * 40, "a.png"))
    assert [item.problem for item in find([tmp_path])] == ["more than 32 levels of folders; name a folder further down"]
