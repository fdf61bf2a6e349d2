"""Each benchmark's layouts with their real folder names; what differs from the published counts is said, not hidden."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from opening import open_with

from pipeline.errors import DataError, ParamsError
from pipeline.sources.benchmarks import benchmark, names

Make = Callable[..., Path]
PACS = [f"{d}/{c}/1.jpg" for d in ("art_painting", "cartoon", "photo", "sketch") for c in benchmark("pacs").classes]
VLCS = ["bird", "car", "chair", "dog", "person"]


def under(folder: str, paths: list[str]) -> list[str]:
    return [f"{folder}/{path}" for path in paths]


def test_every_benchmark_cites_what_it_states() -> None:
    assert set(names()) >= {"pacs", "vlcs", "office-home", "domainnet", "imagenet", "dtd", "food101", "caltech101"}
    for name in names():
        facts = benchmark(name)
        assert facts.get, name
        assert facts.cites, name
        assert facts.traps, name
        assert all(layout.cite for layout in facts.layouts), name
        assert all(other in names() for other in facts.companions), name


def test_the_published_counts_add_up() -> None:
    """Totals as the papers and DomainBed's pages state them, beside the parts as the catalogue has them."""
    totals = {"pacs": 9991, "vlcs": 10729, "office-home": 15588, "domainnet": 586575, "imagenet": 1281167 + 50000}
    assert {name: benchmark(name).expected_images for name in totals} == totals
    classes = {"pacs": 7, "vlcs": 5, "office-home": 65, "domainnet": 345, "imagenet": 1000, "dtd": 47, "food101": 101}
    assert {name: benchmark(name).expected_classes for name in classes} == classes


def test_the_page_of_data_sets_is_that_of_the_catalogue() -> None:
    from pipeline.sources.benchmarks.document import page

    kept = (Path(__file__).resolve().parents[2] / "docs/datasets.md").read_text(encoding="utf-8")
    assert kept == page(), "python -m pipeline.sources.benchmarks > docs/datasets.md"


@pytest.mark.parametrize(
    "paths",
    [
        PACS,
        under("kfold", PACS),
        under("Homework3-PACS/PACS", PACS),
        [*under("images", PACS), "splits/photo_train_kfold.txt"],
        [path.replace("/person/", "/human/") for path in PACS],
    ],
    ids=["plain", "kfold", "homework", "dassl", "human"],
)
def test_pacs_layouts(make: Make, paths: list[str]) -> None:
    source = open_with(make(paths), benchmark="pacs")
    assert sorted(entry.target for entry in source) == sorted(PACS)
    assert "PACS: photo: 7 of 1,670 published images" in source.warnings
    assert any("start at 1" in note for note in source.notes)


def test_pacs_leaves_the_erroneous_image_aside(make: Make) -> None:
    source = open_with(make([*PACS, "sketch/dog/n02103406_4068-1.png"]), benchmark="pacs")
    assert sorted(entry.target for entry in source) == sorted(PACS)
    assert any("n02103406_4068-1.png" in note for note in source.notes)
    assert "PACS: sketch: 8 of 3,929 published images" in source.warnings  # it belongs to what is published


def test_a_missing_domain_and_class_are_named(make: Make) -> None:
    paths = [path for path in PACS if not path.startswith("cartoon") and path != "photo/horse/1.jpg"]
    warnings = open_with(make(paths), benchmark="pacs").warnings
    assert "PACS: no domain cartoon" in warnings
    assert "PACS: photo: no images of horse" in warnings


def test_a_class_that_is_none_of_the_benchmark_s_is_refused(make: Make) -> None:
    with pytest.raises(DataError, match=r"photo/cat: not a class of PACS, whose classes are dog"):
        open_with(make([*PACS, "photo/cat/1.jpg"]), benchmark="pacs")


def test_another_layout_says_where_to_get_it_and_what_is_expected(make: Make, tmp_path: Path) -> None:
    expected = r"get PACS from https://.*expected \{art_painting,cartoon,photo,sketch\}/dog/\*\.jpg"
    with pytest.raises(DataError, match=expected):
        open_with(make(["dog/1.jpg", "cat/2.jpg"]), benchmark="pacs")
    with pytest.raises(DataError, match=f"no such folder; {expected}"):
        open_with(tmp_path / "absent", benchmark="pacs")
    with pytest.raises(ParamsError, match=r"unknown benchmark 'pasc'; did you mean 'pacs'\?"):
        open_with(tmp_path, benchmark="pasc")
    with pytest.raises(ParamsError, match="layouts of its own"):
        open_with(tmp_path, benchmark="pacs", domain="photo")


def test_vlcs_as_domainbed_has_it(make: Make) -> None:
    paths = [f"VLCS/{d}/{c}/1.jpg" for d in ("Caltech101", "LabelMe", "SUN09", "VOC2007") for c in VLCS]
    source = open_with(make(paths), benchmark="vlcs")
    assert sorted(e.target for e in source) == sorted(path.removeprefix("VLCS/") for path in paths)
    assert source.warnings == ["VLCS: 20 of 10,729 published images"]


def test_vlcs_with_its_split_keeps_the_parts(make: Make) -> None:
    """Dassl's VLCS/CALTECH/{train,crossval,test}/<class>, here with human and numbers as some copies have them."""
    parts = ("train", "crossval", "test")
    paths = [f"{d}/{p}/{c}/1.jpg" for d in ("CALTECH", "SUN") for p in parts for c in [*VLCS[:4], "human"]]
    entries = list(open_with(make([*paths, "PASCAL/train/0/1.jpg"]), benchmark="vlcs"))
    assert {(e.target, e.part) for e in entries if "/person/" in e.target and e.target.startswith("SUN09")} == {
        ("SUN09/person/train-1.jpg", "train"),
        ("SUN09/person/crossval-1.jpg", "val"),
        ("SUN09/person/test-1.jpg", "test"),
    }
    assert "VOC2007/bird/train-1.jpg" in {e.target for e in entries}


def test_vlcs_reads_full_alone_where_it_is_there(make: Make) -> None:
    paths = [f"{d}/{p}/0/{p}.jpg" for d in ("CALTECH", "SUN", "PASCAL", "LABELME") for p in ("full", "train", "test")]
    entries = list(open_with(make(paths), benchmark="vlcs"))
    assert sorted(e.target for e in entries) == [
        f"{d}/bird/full.jpg" for d in ("Caltech101", "LabelMe", "SUN09", "VOC2007")
    ]
    assert {e.part for e in entries} == {""}


def test_office_home_official_and_dassl(make: Make) -> None:
    official = ["Art/Alarm_Clock/1.jpg", "Clipart/TV/1.jpg", "Product/ToothBrush/1.jpg", "Real World/Bed/1.jpg"]
    source = open_with(make(under("OfficeHomeDataset_10072016", official)), benchmark="office-home")
    assert [e.target for e in source] == [
        "art/Alarm_Clock/1.jpg",
        "clipart/TV/1.jpg",
        "product/ToothBrush/1.jpg",
        "real_world/Bed/1.jpg",
    ]
    assert source.class_names == {"Alarm_Clock": "alarm clock", "Bed": "bed", "ToothBrush": "toothbrush"}
    split = make(["office_home_dg/art/train/Alarm_Clock/1.jpg", "office_home_dg/art/val/Alarm_Clock/2.jpg"], "dassl")
    assert {(e.target, e.part) for e in open_with(split, benchmark="office-home")} == {
        ("art/Alarm_Clock/train-1.jpg", "train"),
        ("art/Alarm_Clock/val-2.jpg", "val"),
    }


def test_domainnet(make: Make) -> None:
    root = make(["clipart/The_Eiffel_Tower/1.jpg", "quickdraw/t-shirt/1.png", "splits/clipart_train.txt"])
    source = open_with(root, benchmark="domainnet")
    assert {e.target for e in source} == {"clipart/The_Eiffel_Tower/1.jpg", "quickdraw/t-shirt/1.png"}
    assert source.class_names == {"The_Eiffel_Tower": "The Eiffel Tower"}
    assert any("folders skipped: splits" in note for note in source.notes)


@pytest.mark.parametrize(
    ("name", "paths", "targets"),
    [
        ("dtd", ["images/dotted/1.jpg", "labels/train1.txt", "imdb/imdb.mat"], ["open_sets/dtd/dotted/1.jpg"]),
        ("dtd", ["dtd/dtd/images/dotted/1.jpg"], ["open_sets/dtd/dotted/1.jpg"]),
        ("food101", ["food-101/images/apple_pie/1.jpg"], ["open_sets/food101/apple_pie/1.jpg"]),
        (
            "caltech101",
            [f"101_ObjectCategories/{c}/image_0001.jpg" for c in ("Faces", "Faces_easy", "BACKGROUND_Google", "ant")],
            ["open_sets/caltech101/Faces/image_0001.jpg", "open_sets/caltech101/ant/image_0001.jpg"],
        ),
        ("inaturalist", ["iNaturalist/images/a.jpg"], ["open_sets/inaturalist/inaturalist/a.jpg"]),
        ("sun", ["images/a.jpg"], ["open_sets/sun/sun/a.jpg"]),
        ("places", ["a.jpg"], ["open_sets/places/places/a.jpg"]),
    ],
)
def test_pools(make: Make, name: str, paths: list[str], targets: list[str]) -> None:
    assert [e.target for e in open_with(make(paths), benchmark=name)] == targets


def test_imagenet_with_its_variants_maps_wnids_and_indices_to_one_set_of_classes(make: Make) -> None:
    """CoOp's $DATA. n01440764 is index 0, the tench; n01443537 is 1, the goldfish; 421 is n02788148, a bannister."""
    root = make(
        [
            "imagenet/images/train/n01440764/n01440764_18.JPEG",
            "imagenet/images/val/n01440764/ILSVRC2012_val_00000293.JPEG",
            "imagenetv2/imagenetv2-matched-frequency-format-val/0/a.jpeg",
            "imagenetv2/imagenetv2-matched-frequency-format-val/421/b.jpeg",
            "imagenet-sketch/images/n01443537/sketch_1.JPEG",
            "imagenet-adversarial/imagenet-a/n01498041/a.jpg",
            "imagenet-adversarial/imagenet-a/README.txt",
        ]
    )
    source = open_with(root, benchmark="imagenet")
    assert {(e.target, e.part) for e in source} == {
        ("imagenet/tench/n01440764_18.JPEG", "train"),
        ("imagenet/tench/ILSVRC2012_val_00000293.JPEG", "test"),
        ("imagenet-v2/tench/a.jpeg", "test"),
        ("imagenet-v2/baluster or handrail/b.jpeg", "test"),
        ("imagenet-sketch/goldfish/sketch_1.JPEG", "test"),
        ("imagenet-a/stingray/a.jpg", "test"),
    }
    assert source.class_names == {"baluster or handrail": "baluster / handrail"}
    assert any(note.startswith("ImageNet-R is not in this folder; get ImageNet-R from") for note in source.notes)


def test_imagenet_s_class_names_can_be_told_apart() -> None:
    from pipeline.sources.benchmarks.imagenet import folder_name, prompt_names

    table = prompt_names()
    assert len(table) == 1000
    assert len(set(table.values())) == 1000
    assert len({folder_name(name).casefold() for name in table.values()}) == 1000
    assert [table[wnid] for wnid in ("n01440764", "n15075141", "n03773504")] == ["tench", "toilet paper", "missile"]


def test_imagenet_s_unsorted_validation_images_are_explained(make: Make) -> None:
    with pytest.raises(DataError, match=r"val holds images without class folders, .* sort them into folders by wnid"):
        open_with(make(["val/ILSVRC2012_val_00000001.JPEG"]), benchmark="imagenet")


def test_a_link_out_of_the_benchmark_is_refused(make: Make, tmp_path: Path) -> None:
    root = make(PACS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/1.jpg").write_bytes(b"x")
    (root / "photo/dog/2.jpg").symlink_to(tmp_path / "elsewhere/1.jpg")
    with pytest.raises(DataError, match=r"photo/dog/2\.jpg: a link that leaves given"):
        open_with(root, benchmark="pacs")


@pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA names no folder of real images")
@pytest.mark.parametrize(
    ("folder", "name", "images", "classes"),
    [("pacs-mini", "pacs", 672, 7), ("dtd-mini", "dtd", 80, 10), ("caltech101-mini", "caltech101", 256, 32)],
)
def test_real_samples_are_recognised(folder: str, name: str, images: int, classes: int) -> None:
    source = open_with(Path(os.environ["CROFT_REAL_DATA"]) / folder, benchmark=name)
    targets = [entry.target for entry in source]
    assert len(targets) == images
    assert len({target.split("/")[-2] for target in targets}) == classes
    assert source.warnings  # they are samples
