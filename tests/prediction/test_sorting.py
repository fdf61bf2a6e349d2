"""Copies by class: safe names, nothing overwritten, nothing outside the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.prediction.answers import Answer
from pipeline.prediction.sorting import Sorter, folder_names, safe_name


def answer(path: Path, class_: str = "cat", unknown: bool = False) -> Answer:
    return Answer(str(path), "unknown" if unknown else class_, class_, 0.9, 0.1, unknown)


def test_names_that_meet_get_a_number_and_nothing_is_overwritten(tmp_path: Path) -> None:
    sorter = Sorter(tmp_path / "out", ["cat"])
    for number in range(9):
        source = tmp_path / str(number) / "a.png"
        source.parent.mkdir()
        source.write_text(str(number))
        sorter.copy(answer(source, unknown=number == 8))
    copies = {path.name: path.read_text() for path in (tmp_path / "out/cat").iterdir()}
    assert copies == {"a.png": "0", **{f"a-{number}.png": str(number) for number in range(1, 8)}}
    assert (tmp_path / "out/unknown/a.png").read_text() == "8"
    assert sorter.copied == 9


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(DataError, match="not empty; name a new folder"):
        Sorter(tmp_path, ["cat"])
    with pytest.raises(DataError, match="not a folder"):
        Sorter(tmp_path / "x", ["cat"])


def test_classes_whose_folders_would_meet_are_kept_apart() -> None:
    names = folder_names(["unknown", "../../etc", "..", "a/b", "a:b", "A_B", "", "nul", "Unknown"])
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert names["unknown"] == "unknown"
    assert names["Unknown"] == "Unknown_2"
    assert (names["a/b"], names["a:b"], names["A_B"]) == ("a_b", "a_b_2", "A_B_3")


@given(st.text() | st.binary().map(os.fsdecode))
def test_any_name_becomes_one_part_of_a_path(name: str) -> None:
    safe = safe_name(name)
    assert Path("x", safe).name == safe
    assert safe not in ("", ".", "..")
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 200


def test_an_image_that_has_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: cannot be copied: No such file"):
        Sorter(tmp_path / "out", ["cat"]).copy(answer(tmp_path / "gone.png"))
    assert not any(path.is_file() for path in (tmp_path / "out").rglob("*"))
