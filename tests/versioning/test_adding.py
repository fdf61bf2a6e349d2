"""Data sets in a real git and DVC project: growth, refusals, links, kills, remotes, and versions by name."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pictures import commit, git, make_project, picture, write_pictures
from PIL import Image
from rich.console import Console

from pipeline.data.parts import check_domains
from pipeline.dvc_runner import tracked
from pipeline.dvc_runner.cache import open_cache
from pipeline.errors import DataError, ParamsError, PipelineError
from pipeline.params import load_params
from pipeline.sources import SourceOptions
from pipeline.versioning.adding import Addition
from pipeline.versioning.contents import read_listing
from pipeline.versioning.difference import Difference, compare
from pipeline.versioning.history import read_history
from pipeline.versioning.names import parse_reference
from pipeline.versioning.outcome import print_addition
from pipeline.versioning.pointer import pointer_path, read_pointer
from pipeline.versioning.resolve import last_two, resolve
from pipeline.versioning.restoring import restore

ROOT = Path(__file__).resolve().parents[2]
START = {"photo/dog/1.png": 1, "photo/dog/2.png": 2, "photo/cat/1.png": 3, "sketch/dog/1.png": 4, "sketch/cat/1.png": 5}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "source", START)
    return tmp_path / "source"


def add(
    root: Path,
    path: Path,
    name: str = "set",
    *,
    domain: str = "",
    open_set: str = "",
    domains: bool = False,
    **more: Any,
) -> Addition:
    """All steps but the MLflow run, whose import takes longer than everything here."""
    options = SourceOptions(domain=domain, open_set=open_set, domains=domains)
    addition = Addition(path, name, options, root=root, data=load_params(ROOT / "params.yaml").data, **more)
    with addition.locked():
        for step in addition.steps()[:-1]:
            step()
    return addition


def held(root: Path, name: str = "set") -> dict[str, bytes]:
    folder = root / "data" / name
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images(pictures: dict[str, int]) -> dict[str, bytes]:
    return {path: picture(number) for path, number in pictures.items()}


def test_a_folder_that_grew_becomes_a_new_version_with_its_difference(root: Path, source: Path) -> None:
    first = add(root, source)
    assert (first.is_new, first.version.number, first.version.images, first.kept) == (True, 1, 5, [])
    assert held(root) == images(START)
    assert first.difference.added == tuple(sorted(START))
    before = commit(root, "one")
    assert git(root, "ls-files", "data").split() == ["data/.gitignore", "data/set.dvc", "data/set.versions.yaml"]
    untouched = (root / "data/set/photo/cat/1.png").stat()

    write_pictures(source, {"photo/dog/3.png": 6, "photo/dog/2.png": 7})  # one more, and one that is another now
    (source / "photo/dog/1.png").rename(source / "photo/cat/9.png")  # a label that was wrong
    (source / "sketch/dog/1.png").unlink()
    second = add(root, source)
    assert (second.is_new, second.version.number, second.kept) == (True, 2, ["sketch/dog/1.png"])
    changes = Difference(
        added=("photo/dog/3.png",), changed=("photo/dog/2.png",), moved=(("photo/dog/1.png", "photo/cat/9.png"),)
    )
    assert second.difference == changes
    now = {"photo/dog/2.png": 7, "photo/dog/3.png": 6, "photo/cat/1.png": 3, "photo/cat/9.png": 1}
    assert held(root) == images(now | {"sketch/dog/1.png": 4, "sketch/cat/1.png": 5})
    again = (root / "data/set/photo/cat/1.png").stat()
    assert (again.st_ino, again.st_mtime_ns) == (untouched.st_ino, untouched.st_mtime_ns)  # not copied again
    commit(root, "two")

    third = add(root, source, prune=True)
    assert third.difference == Difference(removed=("sketch/dog/1.png",))
    listed = pointer_path(root, "set").read_bytes(), read_history(root, "set")
    nothing = add(root, source, prune=True)
    assert (nothing.is_new, nothing.version.number, bool(nothing.difference)) == (False, 3, False)
    assert (pointer_path(root, "set").read_bytes(), read_history(root, "set")) == listed

    # Versions by number and by commit, from DVC's own listings.
    cache = open_cache(root)
    by_number, by_commit = (resolve(root, parse_reference(f"set@{which}")) for which in ("1", before))
    assert by_number == by_commit
    assert set(by_number.files(cache)) == set(START)
    second_files = resolve(root, parse_reference("set@2")).files(cache)
    assert compare(by_number.files(cache), second_files) == changes
    assert [str(one) for one in last_two(root, "set")] == ["set@2", "set@3"]
    with pytest.raises(DataError, match=r"set@9: neither a version number \(1 to 3\) nor a git revision"):
        resolve(root, parse_reference("set@9"))

    # And back in the workspace, from where the same source leads to the version that it was.
    assert restore(root, parse_reference("set@1")).number == 1
    assert held(root) == images(START)
    assert git(root, "diff", "HEAD~1", "--stat", "--", "data/set.dvc") == ""  # the .dvc file of the first commit
    back = add(root, source, prune=True)
    assert (back.is_new, back.before.number, back.version.number) == (False, 1, 3)
    said = Console(file=io.StringIO(), width=110)
    print_addition(back, said, used="data/set")
    lines = said.file.getvalue().splitlines()
    assert "Identical to version 3 of set; no new version was created" in lines
    assert "Since version 1: 1 added, 1 removed, 1 changed, 1 moved" in lines
    assert "Under DVC. Commit:" in lines
    assert (pointer_path(root, "set").read_bytes(), read_history(root, "set")) == listed


def printed(addition: Addition, used: str = "data/set") -> list[str]:
    said = Console(file=io.StringIO(), width=110)
    print_addition(addition, said, used=used)
    return said.file.getvalue().splitlines()


def test_croft_use_is_suggested_once_there_are_classes_to_train_on(root: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "textures", {"knot/1.png": 1})
    write_pictures(tmp_path / "pets", {"photo/cat/1.png": 2})
    advice = "To train on it, add images of at least 2 known classes (now: {}):"
    repeat = "  croft data add PATH --name set"
    first = printed(add(root, tmp_path / "textures", open_set="dtd"), "data/digits")
    assert first[-2:] == [advice.format("open set dtd"), repeat]
    assert not add(root, root / "data/set").is_new  # the folder as it is, which no run can use yet
    second = printed(add(root, tmp_path / "pets"), "data/digits")
    assert second[-2:] == [advice.format("cat, open set dtd"), repeat]
    write_pictures(tmp_path / "pets", {"photo/unknown/1.png": 3})
    third = printed(add(root, tmp_path / "pets"), "data/digits")
    assert third[-2:] == [advice.format("cat, unknown, open set dtd"), repeat]
    write_pictures(tmp_path / "pets", {"photo/dog/1.png": 4})
    last = printed(add(root, tmp_path / "pets"), "data/digits")
    assert last[-1] == "To use it: croft use folder data/set"


def test_parts_that_are_folders_go_to_the_table_of_parts(root: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "split", {"train/dog/1.png": 1, "train/cat/1.png": 2, "Test/dog/1.png": 3})
    (tmp_path / "split/readme.md").touch()
    addition = add(root, tmp_path / "split")
    table = "path,part\nset/cat/train-1.png,train\nset/dog/Test-1.png,test\nset/dog/train-1.png,train\n"
    pictures = {"set/dog/train-1.png": 1, "set/cat/train-1.png": 2, "set/dog/Test-1.png": 3}
    assert held(root) == images(pictures) | {"parts.csv": table.encode()}
    assert printed(addition)[:4] == [
        f"{tmp_path}/split: class/image, taken as the domain 'set'",
        "train and Test (test) are parts, not domains; files are named after them; --domains takes them as domains",
        "taken: 3 images, 1 domain (set), 2 classes, parts: train 2, test 1",
        "left out, not images: 1: readme.md",
    ]
    again = add(root, root / "data/set")
    assert (again.is_new, again.version.number) == (False, 1)


def test_a_folder_that_dvc_tracks_has_not_said_what_its_folders_are(root: Path) -> None:
    write_pictures(root / "data/set", {"train/dog/1.png": 1, "test/dog/1.png": 2, "test/cat/1.png": 3})
    tracked.add(root, Path("data/set"), terminal=False)
    with pytest.raises(DataError, match=r"layout; add the folder under another --name, .*, or take all folders as"):
        add(root, root / "data/set")
    with pytest.raises(DataError, match=r"the folders test, train are called as parts of a split are, and nothing"):
        check_domains(root / "data/set")
    given = add(root, root / "data/set", "parted")  # the command that the error names
    assert held(root, "parted").keys() == {
        "parted/dog/train-1.png",
        "parted/dog/test-1.png",
        "parted/cat/test-1.png",
        "parts.csv",
    }
    assert given.version.number == 1


def test_a_folder_of_images_without_a_label_in_the_workspace_is_refused(root: Path) -> None:
    write_pictures(root / "data/set", {"photo/dog/1.png": 1, "photo/cat/1.png": 2, "photo/no_label/1.png": 3})
    with pytest.raises(
        DataError, match=r"data/set/photo/no_label: a class cannot be called 'no_label', which is where"
    ):
        add(root, root / "data/set")


def test_who_said_domains_once_need_not_repeat_it(root: Path) -> None:
    pictures = {"train/dog/1.png": 1, "test/dog/1.png": 2, "test/cat/1.png": 3}
    write_pictures(root / "data/set", pictures)
    with pytest.raises(
        DataError, match=r"layout; add the folder under another --name, move the image to .*, or take all"
    ):
        add(root, root / "data/set")
    assert add(root, root / "data/set", domains=True).version.number == 1
    write_pictures(root / "data/set", {"train/cat/1.png": 4})
    assert add(root, root / "data/set").version.number == 2
    check_domains(root / "data/set")  # so does ingest
    assert held(root) == images(pictures | {"train/cat/1.png": 4})


@pytest.mark.slow
def test_open_sets_and_domains_are_added_beside_what_is_there(root: Path, source: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "textures", {"banded/1.png": 11, "bumpy/1.png": 12})
    write_pictures(tmp_path / "paintings", {"dog/1.png": 21, "cat/1.png": 22})
    add(root, tmp_path / "textures", open_set="dtd")  # before there is any domain
    add(root, source)
    last = add(root, tmp_path / "paintings", domain="art", prune=True)  # prunes within art alone
    pool = {"open_sets/dtd/banded/1.png": 11, "open_sets/dtd/bumpy/1.png": 12}
    assert held(root) == images(START | pool | {"art/dog/1.png": 21, "art/cat/1.png": 22})
    assert last.difference == Difference(added=("art/cat/1.png", "art/dog/1.png"))


def test_a_bad_image_is_named_and_nothing_changes(root: Path, source: Path) -> None:
    (source / "photo/dog/broken.png").write_bytes(picture(9)[:40])
    (source / "photo/dog/small.png").write_bytes(picture(9, side=3))
    with pytest.raises(DataError, match=r"2 bad images, nothing was added.*photo/dog/broken\.png.*small\.png: 3 x 3"):
        add(root, source)
    assert not [path.name for path in (root / "data").iterdir()]
    assert git(root, "status", "--porcelain") == ""
    skipped = add(root, source, on_bad_image="skip")
    assert held(root) == images(START)
    assert [origin for _, _, origin in skipped.bad] == [
        str(source / "photo/dog" / name) for name in ("broken.png", "small.png")
    ]
    listed = pointer_path(root, "set").read_bytes()
    (source / "photo/dog/1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3 bad images"):
        add(root, source)
    assert (held(root), pointer_path(root, "set").read_bytes()) == (images(START), listed)


def test_a_class_folder_of_bad_images_is_never_left_out(root: Path, source: Path) -> None:
    add(root, source)
    (source / "sketch/fox").mkdir()
    (source / "sketch/fox/1.jpg").write_bytes(b"no image")
    (source / "photo/dog/1.png").write_bytes(b"no image")  # the class has another image, and may lose this one
    with pytest.raises(
        DataError, match=r"no usable image of sketch/fox, nothing was added; .*fox/1\.jpg: not an image"
    ):
        add(root, source, on_bad_image="skip")
    assert held(root) == images(START)


def test_a_jpeg_without_its_end_is_taken_and_named(root: Path, source: Path) -> None:
    stream = io.BytesIO()
    Image.open(io.BytesIO(picture(1))).convert("RGB").save(stream, "JPEG")
    (source / "photo/cat/x.jfif").write_bytes(stream.getvalue()[:-2])
    added = add(root, source)
    assert added.defects == [f"{source}/photo/cat/x.jfif lacks its end marker"]
    assert added.version.images == 6
    console = Console(file=io.StringIO(), width=200)
    print_addition(added, console, used="data/set")
    assert "Damaged, but taken, since the whole picture can be read" in console.file.getvalue()


@pytest.mark.slow
def test_a_folder_of_the_workspace_is_taken_as_it_is(root: Path) -> None:
    folder = root / "data" / "set"
    write_pictures(folder, START)
    assert add(root, Path("data/set")).version.images == 5
    (folder / "photo/dog/1.png").unlink()
    write_pictures(folder, {"photo/dog/8.png": 8})
    second = add(root, Path("data/set"))
    assert second.difference == Difference(added=("photo/dog/8.png",), removed=("photo/dog/1.png",))
    (folder / "photo/dog/9.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 bad image, nothing was added.*data/set/photo/dog/9\.png"):
        add(root, Path("data/set"))
    for path in ("data/set/photo", "data"):
        with pytest.raises(ParamsError, match="lies inside data/set, or contains it"):
            add(root, Path(path), domain="x")


@pytest.mark.slow
def test_what_somebody_put_into_the_workspace_is_checked_too(root: Path, source: Path) -> None:
    add(root, source)
    stray = root / "data/set/photo/dog/stray.png"
    stray.write_bytes(b"no image")
    write_pictures(source, {"photo/dog/3.png": 6})
    with pytest.raises(DataError, match=r"data/set/photo/dog/stray\.png"):
        add(root, source)
    stray.write_bytes(picture(30))
    assert add(root, source).difference.added == ("photo/dog/3.png", "photo/dog/stray.png")


@pytest.mark.parametrize("cache_type", [pytest.param("copy", marks=pytest.mark.slow), "hardlink"])
def test_links_never_tie_the_source_to_workspace_or_cache(root: Path, source: Path, cache_type: str) -> None:
    (root / ".dvc" / "config.local").write_text(f"[cache]\n    type = {cache_type}\n")
    modes = {path: path.stat().st_mode for path in source.rglob("*.png")}
    addition = add(root, source, link=True)
    if cache_type == "hardlink":  # DVC would take the user's own files into its cache, and make them read-only
        assert "hard link" not in addition.placer.used
    assert held(root) == images(START)
    assert not [path for path in root.rglob("*") if path.is_symlink()]
    assert {path.stat().st_nlink for path in modes} == {1}
    assert {path: path.stat().st_mode for path in modes} == modes
    for path in modes:
        path.write_bytes(b"overwritten in place")
    assert held(root) == images(START)


def test_symlinks_out_of_the_workspace_are_refused(root: Path, source: Path) -> None:
    (root / ".dvc" / "config.local").write_text("[cache]\n    type = symlink\n")
    with pytest.raises(ParamsError, match=r"cache\.type is symlink"):
        add(root, source)


def test_what_does_not_fit_on_the_disk_is_refused_before_it_is_read(root: Path, source: Path) -> None:
    with (source / "photo/dog/huge.png").open("wb") as file:
        file.truncate(10 * 10**12)  # a hole of 10 TB takes no space
    with pytest.raises(DataError, match=r"TB needed"):
        add(root, source)


@pytest.mark.slow
def test_a_version_is_pushed_and_comes_back_from_the_remote(root: Path, source: Path, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    config = root / ".dvc" / "config"
    config.write_text(f"{config.read_text()}    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    first = add(root, source)
    assert (first.pushed, first.troubles) == (True, [])
    md5 = first.version.md5
    assert set(read_listing(remote / "files/md5" / md5[:2] / md5[2:])) == set(START)

    remote.rename(tmp_path / "away")
    remote.write_text("no folder")  # the remote cannot be written to
    write_pictures(source, {"photo/dog/3.png": 6})
    second = add(root, source)
    assert (second.is_new, second.version.number, second.pushed) == (True, 2, False)
    assert "was not pushed to store" in second.troubles[0]
    assert "dvc push data/set.dvc" in second.troubles[0]
    remote.unlink()
    (tmp_path / "away").rename(remote)
    again = add(root, source)
    assert (again.is_new, again.pushed, again.troubles) == (False, True, [])

    subprocess.run(["rm", "-rf", root / ".dvc/cache"], check=True)
    with pytest.raises(DataError, match=r"set@1: its listing .*fetch the version .*`croft data use set@1`"):
        resolve(root, parse_reference("set@1")).files(open_cache(root))
    restore(root, parse_reference("set@1"))
    assert held(root) == images(START)
    restore(root, parse_reference("set@2"))
    assert held(root) == images(START | {"photo/dog/3.png": 6})
    (root / "data/set/photo/dog/1.png").write_bytes(picture(77))
    with pytest.raises(PipelineError, match="holds changes that are in no version"):
        restore(root, parse_reference("set@1"))


def test_a_kill_in_the_middle_leaves_the_old_version_and_needs_no_help(root: Path, source: Path) -> None:
    add(root, source)
    listed = pointer_path(root, "set").read_bytes()
    many = {f"photo/dog/n{number}.png": number for number in range(100, 3100)}
    write_pictures(source, many)
    code = (
        "import sys; from pathlib import Path; from pipeline.versioning.adding import Addition\n"
        "from pipeline.params import load_params\n"
        "a = Addition(Path(sys.argv[1]), 'set', root=Path('.'), data=load_params().data)\n"
        "with a.locked():\n    [step() for step in a.steps()[:-1]]"
    )
    run = subprocess.Popen([sys.executable, "-c", code, source], cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)})
    half = root / "data/.adding-set"
    end = time.monotonic() + 60
    while not (half.is_dir() and any(half.rglob("n*.png"))):
        assert run.poll() is None
        assert time.monotonic() < end
        time.sleep(0.001)
    with pytest.raises(PipelineError, match="another `croft data` command is using it"):
        add(root, source)
    run.send_signal(signal.SIGKILL)
    assert run.wait(30) == -signal.SIGKILL
    assert half.is_dir()
    assert (held(root), pointer_path(root, "set").read_bytes()) == (images(START), listed)
    assert git(root, "status", "--porcelain", "--", "data/.adding-set") == ""
    done = add(root, source)
    assert (done.version.number, len(done.difference.added)) == (2, 3000)
    assert not half.exists()
    assert read_pointer(root, "set").files == 3005
