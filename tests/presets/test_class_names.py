"""What prompts call class folders: codes are left out where names remain, and named where nothing does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.cli.presets import folder_preset, merge
from pipeline.cli.presets.class_names import propose
from pipeline.errors import DataError
from pipeline.params import parse_params

SHIPPED = (Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("folders", "called"),
    [
        (
            ["001.Black_footed_Albatross", "002.Laysan_Albatross"],
            {"001.Black_footed_Albatross": "Black footed Albatross", "002.Laysan_Albatross": "Laysan Albatross"},
        ),
        (
            ["n02085620-Chihuahua", "n02085782-Japanese_spaniel"],
            {"n02085620-Chihuahua": "Chihuahua", "n02085782-Japanese_spaniel": "Japanese spaniel"},
        ),
        (["tench_n01440764", "owl"], {"tench_n01440764": "tench"}),
        (["class_1_cat", "class_2_dog"], {"class_1_cat": "cat", "class_2_dog": "dog"}),
        (["0 cat", "1 dog", "others"], {"0 cat": "cat", "1 dog": "dog"}),
    ],
)
def test_codes_are_left_out(folders: list[str], called: dict[str, str]) -> None:
    names = propose(folders)
    assert names.called == called
    assert list(names.coded) == [folder for folder in folders if folder in called]
    assert list(names.bare) == []


@pytest.mark.parametrize(
    ("folders", "called"),
    [
        (["red_fox", "owl"], {"red_fox": "red fox"}),
        (["7_up", "cola", "fanta"], {"7_up": "7 up"}),  # one of three is no numbering
        (["747-400", "A320-200", "DC-3"], {}),
        (["1 cat", "1 dog"], {}),  # a number that is not a class's own is no code
        (["2001_space_odyssey", "odyssey", "space_odyssey"], {"2001_space_odyssey": "2001 space odyssey"}
         | {"space_odyssey": "space odyssey"}),
        (["01_crane", "02_crane", "03_owl"], {"01_crane": "01 crane", "02_crane": "02 crane", "03_owl": "owl"}),
    ],
)  # fmt: skip
def test_what_may_be_a_name_stays(folders: list[str], called: dict[str, str]) -> None:
    assert propose(folders).called == called


@pytest.mark.parametrize("folders", [["class_1", "class_2", "class_10"], ["c0", "c1"], ["0", "1", "background"]])
def test_folders_that_are_only_codes_are_listed_to_be_named(folders: list[str]) -> None:
    numbered = [folder for folder in folders if folder != "background"]
    names = propose(folders)
    assert list(names.bare) == numbered
    assert set(names.called) == set(numbered)  # so that params.yaml has a line for each


def test_wordnet_ids_of_imagenet_get_clip_s_names() -> None:
    names = propose(["n01440764", "n02102040", "n00000001"])
    assert names.called == {"n01440764": "tench", "n02102040": "English Springer Spaniel", "n00000001": "n00000001"}
    assert (list(names.coded), list(names.bare)) == (["n01440764", "n02102040"], ["n00000001"])


def make(root: Path, *classes: str, each: int = 3) -> Path:
    for domain in ("day", "night"):
        for name in classes:
            (root / domain / name).mkdir(parents=True)
            for index in range(each):
                (root / domain / name / f"{index}.jpg").write_bytes(b"x")
    return root


def test_croft_use_shows_the_names_and_writes_them_beside_the_folders(tmp_path: Path) -> None:
    preset = folder_preset(make(tmp_path / "birds", "001.Black_footed_Albatross", "002.Owl"))
    note = (
        "prompts leave out the codes of the folders (backbone.class_names in params.yaml): "
        "001.Black_footed_Albatross: Black footed Albatross; 002.Owl: Owl"
    )
    assert note in preset.warnings
    text = merge(SHIPPED, preset).text
    assert yaml.safe_load(text)["backbone"]["class_names"] == {
        "001.Black_footed_Albatross": "Black footed Albatross",
        "002.Owl": "Owl",
    }
    assert "[folder: without the codes of the folders]" in text
    parse_params(yaml.safe_load(text))


def test_croft_use_asks_what_numbered_folders_show(tmp_path: Path) -> None:
    preset = folder_preset(make(tmp_path / "set", "class_1", "class_2"))
    note = (
        "numbers and codes mean nothing in a prompt; write what these classes show (backbone.class_names in "
        "params.yaml): class_1, class_2"
    )
    assert note in preset.warnings
    assert preset.values["backbone.class_names"] == {"class_1": "class 1", "class_2": "class 2"}


@pytest.mark.parametrize("name", ["unknown", "Unknown", "UN-KNOWN"])
def test_a_class_called_unknown_is_not_made_a_known_one(tmp_path: Path, name: str) -> None:
    root = make(tmp_path / "pets", "cat", "dog")
    (root / "day" / name).mkdir()
    (root / "day" / name / "0.jpg").write_bytes(b"x")  # one image is enough for an unknown class
    preset = folder_preset(root)
    assert preset.values["data.unknown"] == [name]
    assert (preset.values["split.shots"], preset.values["split.validation"]) == (2, 1)
    assert not any("no class is unknown" in warning for warning in preset.warnings)
    text = merge(SHIPPED, preset).text
    assert parse_params(yaml.safe_load(text)).data.unknown == (name,)
    assert "[folder: predictions say 'unknown' of images of no known class]" in text
    note = (
        f"{name}: taken as unknown (data.unknown in params.yaml), so never trained on, and measures how well unknown "
        "images are recognised; if it is a class to predict, rename its folders, since 'unknown' is what predictions "
        "say of an image of no known class"
    )
    assert note in preset.warnings


def test_one_class_beside_unknown_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 1 class \(cat\) beside unknown; at least 2 are needed"):
        folder_preset(make(tmp_path / "pets", "cat", "unknown"))


def test_open_sets_alone_are_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "pets" / "open_sets", "knot")  # open_sets/day/knot
    with pytest.raises(
        DataError, match=r"holds no class beside open set day, open set night; at least 2 are needed, so add images"
    ):
        folder_preset(root.parent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    root.parent.rename(tmp_path / "data/pets")
    with pytest.raises(DataError, match=r"^data/pets: holds no class beside open set day, open set night; at least 2"):
        folder_preset(Path("data/pets"))


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("null", '"null"'), ("none", "none"), ("Others", "Others"), ("background", "background"), ("misc", "misc")],
)
def test_croft_use_asks_whether_a_catch_all_class_is_unknown(tmp_path: Path, name: str, spelled: str) -> None:
    preset = folder_preset(make(tmp_path / "pets", "cat", "dog", name))
    assert preset.values["data.unknown"] == []  # only the person knows
    note = (
        f"{name}: is this whatever belongs to no other class? If so, set data.unknown: [{spelled}]; if not, write what "
        "it shows (backbone.class_names in params.yaml)"
    )
    assert note in preset.warnings
    advised = yaml.safe_load(merge(SHIPPED, preset).text.replace("  unknown: []", f"  unknown: [{spelled}]"))
    assert parse_params(advised).data.unknown == (name,)
    beside = folder_preset(make(tmp_path / "more", "cat", "dog", name, "unknown"))
    assert any(f"set data.unknown: [unknown, {spelled}]; if not" in warning for warning in beside.warnings)
