"""One rule for names: what ingest would refuse is refused at the first door, whichever way it comes in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from opening import open_with

from pipeline.data.layout import RESERVED, class_folder, folder_problem, is_hidden, name_problem, parse_place
from pipeline.data.listing import list_images
from pipeline.errors import DataError, ParamsError
from pipeline.sources import SourceOptions

Make = Callable[..., Path]
DOMAINS = ["*", "mean", "in-distribution", "open_sets", "parts.csv", "groups.csv"]
POOLS = [
    *("classes", "train", "validation", "test_id", "test_shifted", "test_unknown", "test_unknown_id"),
]
INVALID = ["..", ".hidden", " cat", "cat ", "a/b", "a\\b", "a\nb", "a\x7fb", "\udcff", "x" * 256, "__MACOSX", "@eaDir"]


def test_the_reserved_names() -> None:
    assert set(RESERVED["domain"]) == set(DOMAINS)
    assert set(RESERVED["pool"]) == set(POOLS)
    # A name that is taken for a domain is none for a pool, and the other way round; classes may have either.
    assert all(not folder_problem("class", name) for name in [*DOMAINS, *POOLS])
    assert not folder_problem("domain", "train")
    assert not folder_problem("pool", "mean")


@pytest.mark.parametrize(("name", "tool"), [("no_label", "CVAT"), ("_unlabeled", "FiftyOne")])
def test_a_class_of_images_without_a_label_is_refused_where_it_is_named_and_by_ingest(
    make: Make, name: str, tool: str
) -> None:
    said = f"a class cannot be called '{name}', which is where {tool} puts images without a label"
    root = make(["raw/1.jpg"])
    (root / "list.csv").write_text(f"path,class\nraw/1.jpg,{name}\n")
    with pytest.raises(DataError, match=rf"line 2: raw/1\.jpg: {said}"):
        list(open_with(root / "list.csv", name="pets"))
    with pytest.raises(DataError, match=rf"data/photo/{name}: {said} \(remove it if they have none\); rename it"):
        list_images(make(["photo/cat/1.jpg", f"photo/{name}/2.jpg"], "data"))


@pytest.mark.parametrize("name", INVALID)
def test_no_folder_can_have_such_a_name(name: str) -> None:
    assert all(folder_problem(kind, name).endswith("rename it") for kind in ("domain", "pool", "class"))
    for options in ({"domain": name}, {"open_set": name}):
        with pytest.raises(ParamsError, match=r"^--(domain|open-set): the name "):
            SourceOptions(**options)


def test_names_of_files_and_ordinary_names() -> None:
    assert name_problem("") == "is empty"
    for name in ("1.jpg", " 1.jpg", "n01440764_18.JPEG", "a b", "Straße", "x" * 255):
        assert name_problem(name) == ""
    assert is_hidden("Thumbs.db")
    assert not is_hidden("thumbs")
    assert folder_problem("class", "baluster or handrail") == ""


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_that_means_something_else_is_refused_at_every_door(make: Make, name: str) -> None:
    said = "a domain cannot be called"
    with pytest.raises(ParamsError, match=f"--domain: {said}"):
        SourceOptions(domain=name)
    root = make(["raw/1.jpg", "photo/dog/1.jpg"])
    (root / "list.csv").write_text(f"path,class,domain\nraw/1.jpg,dog,{name}\n")
    with pytest.raises(DataError, match=rf"line 2: raw/1\.jpg: {said} {re.escape(repr(name))}"):
        list(open_with(root / "list.csv"))
    if name in ("open_sets", "parts.csv", "groups.csv"):
        return  # as folders of a data root they are what they are called after
    folder = make([f"{name}/dog/1.jpg", "photo/dog/1.jpg"], "folder")
    for read in (lambda: list(open_with(folder)), lambda: list_images(folder)):
        with pytest.raises(DataError, match=f"{said} .*; rename it"):
            read()


@pytest.mark.parametrize("name", ["mean", "in-distribution", "open_sets", "parts.csv", "groups.csv"])
def test_a_data_set_s_name_that_no_domain_can_have_asks_for_a_domain(make: Make, name: str) -> None:
    root = make(["dog/1.jpg", "cat/1.jpg"])
    (root / "list.csv").write_text("path,class\ndog/1.jpg,dog\n")
    for path in (root, root / "list.csv"):
        with pytest.raises(ParamsError, match=r"name .* with --domain"):
            open_with(path, name=name)
        assert all(entry.target.startswith("photo/") for entry in open_with(path, name=name, domain="photo"))


@pytest.mark.parametrize("name", ["mean", "in-distribution"])
def test_croft_use_refuses_what_ingest_would(make: Make, name: str) -> None:
    from pipeline.cli.presets import folder_preset

    images = [f"{domain}/{class_}/{index}.jpg" for domain in ("photo", name) for class_ in "ab" for index in range(2)]
    with pytest.raises(DataError, match=f"{name}/a/0.jpg: a domain cannot be called '{name}', which .*; rename it"):
        folder_preset(make(images))
    pool = make(["photo/a/1.jpg", "photo/b/1.jpg", f"open_sets/{POOLS[0]}/knot/1.jpg"], "pooled")
    with pytest.raises(DataError, match=f"a pool cannot be called '{POOLS[0]}'"):
        folder_preset(pool)


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_that_means_something_else_is_refused_at_every_door(make: Make, name: str) -> None:
    said = f"a pool cannot be called '{name}'"
    with pytest.raises(ParamsError, match=f"--open-set: {said}"):
        SourceOptions(open_set=name)
    folder = make([f"open_sets/{name}/knot/1.jpg", "photo/dog/1.jpg"])
    (folder / "list.csv").write_text(f"path,class,open_set\nphoto/dog/1.jpg,dog,{name}\n")
    for read in (
        lambda: list(open_with(folder / "list.csv")),
        lambda: list_images(folder),
        lambda: (folder / "list.csv").unlink() or list(open_with(folder)),
    ):
        with pytest.raises(DataError, match=said):
            read()


def test_a_table_of_parts_cannot_be_a_folder(make: Make) -> None:
    with pytest.raises(DataError, match=r"a domain cannot be called 'parts\.csv'"):
        list_images(make(["parts.csv/dog/1.jpg", "photo/dog/1.jpg"]))


def test_what_a_source_may_hold_ingest_lists(make: Make, tmp_path: Path) -> None:
    """Entries of a source, written where they belong, are what ingest finds."""
    paths = ["photo/big dog/1.jpg", "photo/cat/1.PNG", "open_sets/mean/knot/1.jpg", "train/cat/2.jpg"]
    root = make(paths)
    (root / "photo/cat/__MACOSX").mkdir()
    entries = list(open_with(root, domains=True))
    for entry in entries:
        target = tmp_path / "data" / entry.target
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(entry.read())
    assert list_images(tmp_path / "data").paths == sorted(paths)
    for path in paths:
        place = parse_place(path)
        assert place is not None
        assert f"{class_folder(place.class_, domain=place.domain, pool=place.pool)}/{place.file}" == path


@pytest.mark.parametrize("options", [{"kind": "tar"}, {"kind": "benchmark"}, {"benchmark": "pacs", "domain": "x"}])
def test_options_that_cannot_be_are_refused_before_the_source_is_looked_at(options: dict[str, str]) -> None:
    with pytest.raises(ParamsError, match=r"^--(kind|benchmark)"):
        SourceOptions(**options)


def test_a_benchmarks_name_as_kind_is_its_benchmark() -> None:
    assert SourceOptions(kind="pacs") == SourceOptions(kind="benchmark", benchmark="pacs")


def test_parts_of_other_tools_are_the_same_in_every_kind_of_source(make: Make) -> None:
    root = make(["raw/1.jpg"])
    (root / "list.csv").write_text("path,class,part\nraw/1.jpg,dog,Validation\n")
    assert [entry.part for entry in open_with(root / "list.csv", name="pets")] == ["val"]
    import io
    import tarfile

    with tarfile.open(root / "s.tar", "w") as tar:
        for name, content in (("1.jpg", b"x"), ("1.json", json.dumps({"label": "dog", "part": "Validation"}).encode())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert [entry.part for entry in open_with(root / "s.tar", name="pets")] == ["val"]
