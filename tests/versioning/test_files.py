"""Names, the .dvc file, the list of versions, counts, given splits, and the space on the disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.data.given import PART, given_rows
from pipeline.errors import DataError, ParamsError
from pipeline.versioning.contents import count, image_place
from pipeline.versioning.given import merge_given, write_given
from pipeline.versioning.history import Version, history_path, number_of, read_history, write_history
from pipeline.versioning.names import Reference, check_name, parse_reference
from pipeline.versioning.pointer import Pointer, pointer_path, read_pointer, write_pointer
from pipeline.versioning.workspace import Workspace, check_space, human

MD5 = "0123456789abcdef0123456789abcdef.dir"


@pytest.mark.parametrize(
    "name", ["../x", ".x", "a/b", "", "-x", "builtin", "Backbones", "x.dvc", "x.yaml", "a b", "a" * 101]
)
def test_a_name_that_cannot_be_a_folder_of_data_is_refused(name: str) -> None:
    with pytest.raises(ParamsError, match="--name: "):
        check_name(name)


def test_references() -> None:
    assert parse_reference("office-home_1.2") == Reference("office-home_1.2")
    assert parse_reference("pacs@2") == Reference("pacs", "2")
    assert parse_reference("pacs@HEAD~1") == Reference("pacs", "HEAD~1")
    for text in ("pacs@", "pacs@-p", "pacs@a:b", "@2", "pacs@a b"):
        with pytest.raises(ParamsError):
            parse_reference(text)


def test_the_pointer_is_read_and_written_as_dvc_does(tmp_path: Path) -> None:
    # Written by dvc 3.67.
    text = f"outs:\n- md5: {MD5}\n  size: 4\n  nfiles: 2\n  hash: md5\n  path: n\n"
    assert read_pointer(tmp_path, "n") is None
    pointer_path(tmp_path, "n").parent.mkdir()
    pointer_path(tmp_path, "n").write_text(text + "desc: kept\n")
    assert read_pointer(tmp_path, "n") == Pointer(MD5, 4, 2)
    write_pointer(tmp_path, "n", Pointer("f" * 32 + ".dir", 5, 3))
    assert pointer_path(tmp_path, "n").read_text() == (
        f"outs:\n- md5: {'f' * 32}.dir\n  size: 5\n  nfiles: 3\n  hash: md5\n  path: n\ndesc: kept\n"
    )


@pytest.mark.parametrize(
    "text", ["", "outs: []", "outs:\n- {md5: abc, size: 1, path: x}", "{", "outs:\n- {md5: x, size: 1, nfiles: 1}"]
)
def test_another_file_is_no_pointer(tmp_path: Path, text: str) -> None:
    pointer_path(tmp_path, "n").parent.mkdir()
    pointer_path(tmp_path, "n").write_text(text)
    with pytest.raises(DataError, match=r"n\.dvc"):
        read_pointer(tmp_path, "n")


def test_versions_are_numbered_and_come_back_as_written(tmp_path: Path) -> None:
    first = Version(1, MD5, "2026-01-01T00:00:00+00:00", 3, 10, 4, "../brücke: [x]")
    versions = [first, dataclasses.replace(first, number=2, run_id="r" * 32, git_commit="c" * 40)]
    assert read_history(tmp_path, "n") == []
    write_history(tmp_path, "n", versions)
    assert read_history(tmp_path, "n") == versions
    assert versions[0].pointer == Pointer(MD5, 10, 4)
    assert (number_of(versions, MD5), number_of(versions, "x")) == (2, None)
    write_history(tmp_path, "n", versions[1:])  # as a merge of two branches may leave it
    with pytest.raises(DataError, match=r"n\.versions\.yaml: expected versions numbered 1, 2"):
        read_history(tmp_path, "n")
    history_path(tmp_path, "n").write_text("versions: 3")
    with pytest.raises(DataError, match="not a list of versions"):
        read_history(tmp_path, "n")


def test_counts_take_images_of_the_layout_only() -> None:
    paths = ["p/dog/1.JPG", "p/dog/2", "s/cat/1.webp", "open_sets/t/x/1.jpg", "parts.csv", "p/dog/.DS_Store"]
    counts = count([*paths, "p/1.png", "p/.h/1.png", "open_sets/t/1.png", "p/dog/deep/1.png"])
    assert counts.domains == {"p": {"dog": 2}, "s": {"cat": 1}}
    assert counts.pools == {"t": {"x": 1}}
    assert (counts.images, counts.classes) == (4, ["cat", "dog"])
    assert image_place("open_sets/dog/1.png") is None
    assert image_place("p/__MACOSX/1.png") is None  # ingest passes it over


def read_parts(folder: Path) -> dict[str, str]:
    return {path: part for _, path, part in given_rows(folder, PART)}


def test_given_splits_are_joined_and_what_left_is_dropped(tmp_path: Path) -> None:
    assert read_parts(tmp_path) == {}
    old = {"p/a/1.png": "train", "p/a/2.png": "test", "p/a/3.png": "val"}
    new = {"p/a/2.png": "", "p/a/3.png": "test", "q/b/1, 2.png": "train"}
    merged = merge_given(old, new, ["q/b/1, 2.png", "p/a/1.png", "p/a/2.png", "p/a/3.png"])
    assert merged == {"p/a/1.png": "train", "p/a/3.png": "test", "q/b/1, 2.png": "train"}
    assert merge_given(old, {}, ["p/a/1.png"]) == {"p/a/1.png": "train"}
    write_given(merged, tmp_path, PART)
    assert read_parts(tmp_path) == merged
    assert (tmp_path / "parts.csv").read_text().splitlines()[:2] == ["path,part", "p/a/1.png,train"]
    (tmp_path / "parts.csv").write_text("image,split\nx,train\n")
    with pytest.raises(DataError, match=r"parts\.csv: line 1: expected the columns path,part, found image,split"):
        read_parts(tmp_path)
    (tmp_path / "parts.csv").write_text("path,part\np/a/1.png,holdout\n")  # ingest would refuse it
    with pytest.raises(DataError, match=r"parts\.csv: line 2: unknown part 'holdout'; expected train, val, test"):
        read_parts(tmp_path)


def test_space_is_summed_over_the_folders_of_one_disk(tmp_path: Path) -> None:
    import shutil

    free = shutil.disk_usage(tmp_path).free
    part = int(free * 0.6)
    check_space([(tmp_path / "a" / "b", part)])  # the folder need not be there yet
    with pytest.raises(DataError, match="needed for workspace"):
        check_space([(tmp_path / "a", part), (tmp_path / "b", part)])
    assert [human(n) for n in (0, 999, 1000, 14_230_000, 2.5e12)] == ["0 B", "999 B", "1.0 kB", "14.2 MB", "2.5 TB"]


def test_a_kill_between_the_two_renames_is_undone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "n")
    workspace.folder.mkdir(parents=True)
    (workspace.folder / "old").touch()
    workspace.begin()
    (workspace.next / "new").touch()
    workspace.folder.rename(tmp_path / "data" / ".adding-n.old")  # the first of the two that `swap` does
    with workspace.locked():
        assert [path.name for path in workspace.folder.iterdir()] == ["old"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["n"]
