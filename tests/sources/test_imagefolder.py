"""Hugging Face's ImageFolder: metadata beside images says what they are; what no table lists is left out by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError

Make = Callable[..., Path]
ROWS = [{"file_name": "0001.png", "label": "cat"}, {"file_name": "0002.png", "label": "dog"}]


def write(table: Path, rows: list[dict[str, object]]) -> None:
    if table.suffix == ".jsonl":
        table.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif table.suffix == ".csv":
        pd.DataFrame(rows).to_csv(table, index=False)
    else:
        pd.DataFrame(rows).to_parquet(table)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_one_table_beside_the_images(make: Make, ending: str) -> None:
    root = make(["0001.png", "0002.png", "README.md"])
    write(root / f"metadata.{ending}", ROWS)
    source = open_with(root, name="pets")
    assert source.kind == "imagefolder"
    assert [(e.target, e.part, e.read()) for e in source] == [
        ("pets/cat/0001.png", "", b"0001.png"),
        ("pets/dog/0002.png", "", b"0002.png"),
    ]
    assert [e.target for e in open_with(root / f"metadata.{ending}", name="pets")] == [
        "pets/cat/0001.png",
        "pets/dog/0002.png",
    ]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_one_table_in_each_folder_of_a_split(make: Make, ending: str) -> None:
    root = make(["data/train/0001.png", "data/train/0002.png", "data/validation/0001.png"])
    write(root / f"data/train/metadata.{ending}", ROWS)
    write(root / f"data/validation/metadata.{ending}", [{"file_name": "0001.png", "label": "cat"}])
    assert [(e.target, e.part) for e in open_with(root, name="pets")] == [
        ("pets/cat/data--train--0001.png", "train"),
        ("pets/dog/0002.png", "train"),
        ("pets/cat/data--validation--0001.png", "val"),
    ]


def test_one_table_whose_paths_lead_into_the_split(make: Make) -> None:
    root = make(["train/0001.png", "test/0002.png"])
    write(root / "metadata.csv", [ROWS[0] | {"file_name": "train/0001.png"}, ROWS[1] | {"file_name": "test/0002.png"}])
    assert [(e.target, e.part) for e in open_with(root, name="pets")] == [
        ("pets/cat/0001.png", "train"),
        ("pets/dog/0002.png", "test"),
    ]


def test_domains_and_columns_that_are_named(make: Make) -> None:
    root = make(["0001.png", "0002.png"])
    rows: list[dict[str, object]] = [
        {"file_name": "0001.png", "species": "cat", "domain": "photo", "site": "north"},
        {"file_name": "0002.png", "species": "dog", "domain": "sketch", "site": "south"},
    ]
    write(root / "metadata.jsonl", rows)
    with pytest.raises(
        DataError, match=r"no column of classes; found: file_name, species, domain, site; .*--class-column"
    ):
        open_with(root, name="pets")
    named = open_with(root, name="pets", class_column="species")
    assert [e.target for e in named] == ["photo/cat/0001.png", "sketch/dog/0002.png"]
    by_site = open_with(root, name="pets", class_column="species", domain_column="site")
    assert [e.target for e in by_site] == ["north/cat/0001.png", "south/dog/0002.png"]


def test_numbers_of_classes_get_the_names_that_the_schema_has(make: Make) -> None:
    """Hugging Face's datasets writes its features beside the schema; a ClassLabel has names."""
    root = make(["0001.png", "0002.png"])
    table = pa.table({"file_name": ["0001.png", "0002.png"], "label": [1, 0]})
    features = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), root / "metadata.parquet")
    assert [e.target for e in open_with(root, name="pets")] == ["pets/dog/0001.png", "pets/cat/0002.png"]
    pq.write_table(table.replace_schema_metadata({"huggingface": "{"}), root / "metadata.parquet")
    source = open_with(root, name="pets")
    assert [e.target for e in source] == ["pets/1/0001.png", "pets/0/0002.png"]
    assert any("classes are numbers, 0 to 1" in warning for warning in source.warnings)


def test_images_that_no_table_lists_are_counted_and_named(make: Make) -> None:
    root = make(["0001.png", "0002.png", "0003.png", "more/0004.png"])
    write(root / "metadata.csv", ROWS)
    source = open_with(root, name="pets")
    assert len(list(source)) == 2
    assert source.left_out.lines() == ["left out, in no table: 2: 0003.png, more/0004.png"]


def test_captions_are_no_classes(make: Make) -> None:
    root = make([f"{number:04}.png" for number in range(12)])
    captions: list[dict[str, object]] = [
        {"file_name": f"{n:04}.png", "text": f"picture {n} of a cat"} for n in range(12)
    ]
    write(root / "metadata.csv", captions)
    with pytest.raises(
        DataError, match=r"text holds 12 different texts for 12 images: captions, not classes; .*--class-column"
    ):
        open_with(root, name="pets")
    write(root / "metadata.csv", [{**row, "text": ["cat", "dog"][n % 2]} for n, row in enumerate(captions)])
    assert {e.target.split("/")[1] for e in open_with(root, name="pets")} == {"cat", "dog"}


def test_a_table_that_says_nothing_of_classes_leaves_them_to_the_folders(make: Make) -> None:
    root = make(["cat/1.png", "dog/2.png"])
    write(root / "metadata.csv", [{"file_name": "cat/1.png", "width": 3}])
    source = open_with(root, name="pets")
    assert (source.kind, [e.target for e in source]) == ("folder", ["pets/cat/1.png", "pets/dog/2.png"])


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"file_name": "../outside.png", "label": "cat"}', r"line 2: '\.\./outside\.png': a path with '\.\.'"),
        ('{"file_name": "/etc/passwd", "label": "cat"}', "line 2: '/etc/passwd': an absolute path"),
        ('{"file_name": "link.png", "label": "cat"}', r"line 2: 'train/link\.png': a link that leaves given"),
        ('{"file_name": "9.png", "label": "cat"}', r"train/metadata\.jsonl: line 2: 'train/9\.png': no such file"),
        ('{"file_name": "2.png", "label": ["cat"]}', "line 2: label: expected a text or a number, found a list"),
        ('{"file_name": "2.png", "label": null}', "line 2: class is empty"),
        ('{"file_name": "2.png"}', "line 2: class is empty"),
        ('["2.png", "cat"]', "line 2: expected a JSON object"),
        ('{"file_name": "2.png", ', "line 2: expected a JSON object"),
        (f'{{"file_name": "2.png", "label": "{"x" * 1_100_000}"}}', "line 2: longer than 1,048,576 characters"),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_by_name(make: Make, tmp_path: Path, line: str, named: str) -> None:
    root = make(["train/1.png", "train/2.png"])
    (tmp_path / "outside.png").write_bytes(b"secret")
    (root / "train/link.png").symlink_to(tmp_path / "outside.png")
    (root / "train/metadata.jsonl").write_text(f'{{"file_name": "1.png", "label": "cat"}}\n{line}\n')
    with pytest.raises(DataError, match=named):
        list(open_with(root, name="pets"))


def test_options_that_contradict(make: Make) -> None:
    root = make(["0001.png", "0002.png"])
    write(root / "metadata.csv", ROWS)
    with pytest.raises(ParamsError, match="holds its images itself; remove --images"):
        open_with(root, name="pets", images=root)
    with pytest.raises(
        ParamsError, match=r"--class-column kind: .*metadata\.csv has no such column; found: file_name, label"
    ):
        open_with(root, name="pets", class_column="kind")
    with pytest.raises(
        DataError, match=r"expected metadata\.csv, metadata\.jsonl, metadata\.parquet with a column file_name"
    ):
        open_with(make(["cat/1.png"], "plain"), name="pets", kind="imagefolder")
