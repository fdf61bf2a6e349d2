"""Presets: valid, complete in both directions, and merged into anybody's params.yaml without a loss."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.presets import NAMES, Preset, folder_preset, merge, read_preset
from pipeline.errors import DataError, ParamsError
from pipeline.params import parse_params
from pipeline.sources import SourceOptions

SHIPPED = (Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8")
OTHERS = [name for name in NAMES if name != "digits"]


def at(content: dict[str, Any], key: str) -> Any:
    section, inner = key.split(".")
    return content[section][inner]


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_makes_valid_params_with_its_values_and_leaves_all_others(name: str) -> None:
    preset = read_preset(name)
    merged = merge(SHIPPED, preset)
    before, after = yaml.safe_load(SHIPPED), yaml.safe_load(merged.text)
    parse_params(after)
    assert {key: at(after, key) for key in preset.values} == dict(preset.values)
    kept = {f"{section}.{key}" for section, keys in before.items() for key in keys} - set(preset.values)
    assert set(merged.kept) == kept
    assert all(at(after, key) == at(before, key) for key in kept)
    assert merged.unknown == []
    changed = {change.key for change in merged.changes}
    assert changed == {key for key in preset.values if at(before, key) != at(after, key)}


@pytest.mark.parametrize("name", OTHERS)
def test_digits_takes_every_preset_back_to_the_byte(name: str) -> None:
    there = merge(SHIPPED, read_preset(name)).text
    assert there != SHIPPED
    assert merge(there, read_preset("digits")).text == SHIPPED


def test_digits_are_the_shipped_values_of_every_key_that_a_preset_sets() -> None:
    digits = read_preset("digits").values
    shipped = yaml.safe_load(SHIPPED)
    assert digits == {key: at(shipped, key) for key in digits}
    assert {key for name in OTHERS for key in read_preset(name).values} == set(digits)


def test_values_that_are_the_authors_say_so() -> None:
    """The numbers of the authors' code: SGD 0.002, momentum 0.9, weight decay 0.1, 30 epochs of batches of 32."""
    for name in OTHERS:
        preset = read_preset(name)
        numbers = {"lr": 0.002, "momentum": 0.9, "weight_decay": 0.1, "epochs": 30, "batch_size": 32}
        for key, value in numbers.items():
            assert preset.values[f"finetune.{key}"] == value
            assert "authors' code" in preset.origins[f"finetune.{key}"]
        assert (preset.values["featurize.min_area"], preset.values["featurize.flip"]) == (0.08, True)
        text = merge(SHIPPED, preset).text
        assert f"[{name}: as in the authors' code]" in text
    assert read_preset("vlcs").values["finetune.generator_steps"] == 5
    assert read_preset("pacs").values["sweep.axes"]["lambda_2"] == [0.0, 1.0, 10.0, 100.0, 1000.0]


def test_imagenet_trains_on_one_domain_and_six_tenths_of_its_classes_are_unknown() -> None:
    """The paper's Setup I: 400 of 1,000 classes are known; every variant that is there is held out."""
    split = yaml.safe_load(merge(SHIPPED, read_preset("imagenet")).text)["split"]
    assert (split["sources"], split["targets"], split["unknown_share"]) == (["imagenet"], [], 0.6)
    from pipeline.data.protocols import class_set

    assert [len(class_set([f"c{i}" for i in range(1000)], split["unknown_share"], seed)) for seed in (1, 2, 3)] == [
        400
    ] * 3


def test_imagenet_s_prompts_and_names_are_those_of_the_installed_open_clip() -> None:
    from open_clip import SIMPLE_IMAGENET_TEMPLATES

    from pipeline.sources.benchmarks.imagenet import folder_name, prompt_names

    values = read_preset("imagenet").values
    assert values["backbone.prompts"] == [template("{}") for template in SIMPLE_IMAGENET_TEMPLATES]
    named = {folder_name(name): name for name in prompt_names().values() if folder_name(name) != name}
    assert values["backbone.class_names"] == named


SHOTS = "  shots: 4".ljust(29)  # comments begin in the column of the shipped file
SMALL = Preset("folder", "t", {"split.shots": 4, "split.seeds": [7]}, {"split.shots": "why"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("split:\n  shots: 16\n", f"split:\n{SHOTS}  # [folder: why]\n  seeds: [7]\n"),
        (
            "# top\nsplit:   # mine\n  # above\n  shots:  16 # so many\n  seeds:\n    - 1  # one\n    - 2\n\n# end\n",
            f"# top\nsplit:   # mine\n  # above\n{SHOTS}  # so many [folder: why]\n  seeds: [7]\n\n# end\n",
        ),
        (
            "a: λ  # ∂\nsplit:\n  seeds: [7]\n  shots: 4 # ≥\n",
            f"a: λ  # ∂\nsplit:\n  seeds: [7]\n{SHOTS}  # ≥ [folder: why]\n",
        ),
        ("a: 1\n", f"a: 1\n\nsplit:\n{SHOTS}  # [folder: why]\n  seeds: [7]\n"),
        ("split:\na: 1\n", f"split:\n{SHOTS}  # [folder: why]\n  seeds: [7]\na: 1\n"),
        ("split: {targets: [x]}  # all\n", f"split:  # all\n  targets: [x]\n{SHOTS}  # [folder: why]\n  seeds: [7]\n"),
        (
            "split:\n  shots:\n  seeds: [1,\n    2]  # two",
            f"split:\n{SHOTS}  # [folder: why]\n  seeds: [7]                   # two\n",
        ),
        (
            "split:\n  shots: 4     # [pacs: old]\n  seeds: [7]\n\n\na: x\n",
            f"split:\n{SHOTS}  # [folder: why]\n  seeds: [7]\n\n\na: x\n",
        ),
        (
            "split:\n  targets: []\n\n  # of the next\nb: {}\n",
            f"split:\n  targets: []\n{SHOTS}  # [folder: why]\n  seeds: [7]\n\n  # of the next\nb: {{}}\n",
        ),
    ],
)
def test_only_the_lines_of_its_keys_are_written_anew(text: str, expected: str) -> None:
    merged = merge(text, SMALL).text
    content = {**yaml.safe_load(text)}
    content["split"] = {**(content.get("split") or {}), "shots": 4, "seeds": [7]}
    assert yaml.safe_load(merged) == content
    if not text.startswith(
        ("split:\na", "split: {")
    ):  # a section that is rewritten as a whole gets its notes next time
        assert merged == expected


def test_keys_that_nobody_knows_are_kept_and_named() -> None:
    text = (
        SHIPPED.replace("split:\n", "split:\n  shot: 3                      # a typo of mine\n")
        + "mine:\n  x: 1  # y\n"
    )
    merged = merge(text, read_preset("pacs"))
    assert merged.unknown == ["split.shot", "mine.x"]
    assert "  shot: 3                      # a typo of mine\n" in merged.text
    assert merged.text.endswith("mine:\n  x: 1  # y\n")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("- 1\n", "expected a mapping of sections, found list"),
        ("", "expected a mapping of sections, found NoneType"),
        ("split: [1]\n", "split: expected a mapping of keys, found list"),
        ("split:\n  shots: 1\n  shots: 2\n", r"params.yaml, line 3: shots is listed twice; remove one"),
        ("split: {}\nsplit: {}\n", r"params.yaml, line 2: split is listed twice; remove one"),
        ("a: &x 1\nsplit:\n  shots: *x\n", r"params.yaml, line 1: anchors and aliases \(&, \*\) are not supported"),
        ("split: {\n", "params.yaml: not valid YAML: .* line 2"),
        ("a: " + "[" * 900 + "]" * 900 + "\n", "params.yaml: not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "params.yaml: not valid YAML"),
    ],
)
def test_what_cannot_be_merged_is_refused(text: str, named: str) -> None:
    with pytest.raises(ParamsError, match=named):
        merge(text, SMALL)


def test_a_folder_s_settings_follow_from_what_it_holds(tmp_path: Path) -> None:
    make_images(tmp_path / "My Photos!", {"day": {"red_fox": 30, "owl": 24}, "night": {"red_fox": 24, "owl": 40}})
    preset = folder_preset(tmp_path / "My Photos!")
    assert preset.values["finetune.lr"] == 0.02  # by validation on real features, not the authors'
    assert "docs/real-data.md" in preset.origins["finetune.lr"]
    assert preset.values["data.root"] == "data/my-photos"
    assert (preset.values["split.shots"], preset.values["split.validation"]) == (16, 8)
    assert preset.values["backbone.class_names"] == {"red_fox": "red fox"}
    assert preset.values["data.unknown"] == []
    assert [warning.split(":")[0] for warning in preset.warnings] == ["no class is unknown"]
    parse_params(yaml.safe_load(merge(SHIPPED, preset).text))
    assert set(preset.values) == set(read_preset("digits").values) - {"sweep.axes"}
    there = merge(SHIPPED, preset).text
    assert merge(there, read_preset("digits")).text == SHIPPED


@pytest.mark.parametrize(("fewest", "shots", "validation"), [(24, 16, 8), (23, 16, 7), (9, 6, 3), (3, 2, 1), (2, 1, 1)])
def test_shots_are_lowered_to_what_the_smallest_class_has(
    tmp_path: Path, fewest: int, shots: int, validation: int
) -> None:
    make_images(tmp_path / "d", {"day": {"fox": 40, "owl": fewest}, "night": {"fox": 40}})
    preset = folder_preset(tmp_path / "d", "birds")
    assert (preset.values["split.shots"], preset.values["split.validation"]) == (shots, validation)
    assert shots + validation <= fewest
    assert "no images of night/owl" in preset.warnings
    assert any("day/owl" in warning for warning in preset.warnings) == (fewest < 24)


def test_a_folder_that_cannot_work_is_refused_or_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path / "flat", {"fox": {"": 3}, "owl": {"": 3}})
    preset = folder_preset(tmp_path / "flat", "pets")
    assert any("one domain only (pets)" in warning for warning in preset.warnings)
    assert preset.values["split.unknown_share"] == 0.0  # of two classes none can become unknown
    make_images(tmp_path / "four", {name: {"": 3} for name in ("fox", "owl", "elk", "hen")})
    assert folder_preset(tmp_path / "four", "pets").values["split.unknown_share"] == 0.3
    make_images(tmp_path / "one", {"day": {"fox": 3}})
    with pytest.raises(DataError, match=r"holds 1 class \(fox\)"):
        folder_preset(tmp_path / "one")
    make_images(tmp_path / "single", {"day": {"fox": 3, "owl": 1}})
    with pytest.raises(DataError, match="day/owl holds 1 image"):
        folder_preset(tmp_path / "single")
    monkeypatch.chdir(tmp_path)
    make_images(tmp_path / "data/set", {"day": {"fox": 3, "owl": 3}})
    assert folder_preset(Path("data/set")).values["data.root"] == "data/set"
    assert folder_preset(Path("data/set")).path is None
    make_images(tmp_path / "data/day", {"fox": {"": 3}, "owl": {"": 3}})
    with pytest.raises(DataError, match="data/day: a data set in data/ is domain/class/image"):
        folder_preset(Path("data/day"))
    with pytest.raises(ParamsError, match=r"--name: invalid name '\.\./x'; expected a letter or digit"):
        folder_preset(tmp_path / "flat", "../x")


def test_only_images_that_may_train_or_validate_count_for_the_shots(tmp_path: Path) -> None:
    make_images(tmp_path / "d/train", {"fox": {"": 6}, "owl": {"": 7}})
    make_images(tmp_path / "d/val", {"fox": {"": 3}, "owl": {"": 9}})
    make_images(tmp_path / "d/test", {"fox": {"": 90}, "owl": {"": 90}})
    preset = folder_preset(tmp_path / "d")
    # fox: 9 of 99, a third of which validates; of the 6 in train all train
    assert (preset.values["split.shots"], preset.values["split.validation"]) == (6, 3)
    assert "d/fox holds 9 images for training and validation, the fewest: shots 6, validation 3" in preset.warnings
    make_images(tmp_path / "t/test", {"fox": {"": 3}, "owl": {"": 3}})
    with pytest.raises(DataError, match="no image may train: none is in the part train"):
        folder_preset(tmp_path / "t")


def test_an_added_data_set_keeps_its_domains_and_a_split_put_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_images(tmp_path / "data/set", {part: {"fox": 3, "owl": 3} for part in ("train", "test")})
    advice = (
        r"add it under another name \(`croft data add data/set --name NEW`\), or take its folders as domains \(--dom"
    )
    with pytest.raises(DataError, match=rf"data/set: a data set in data/ is domain/class/image; {advice}"):
        folder_preset(Path("data/set"))
    assert "2 domains (test, train)" in folder_preset(Path("data/set"), options=SourceOptions(domains=True)).title
    (tmp_path / "data/set.dvc").touch()  # by `dvc add`, which asks nothing
    with pytest.raises(DataError, match=r"data/set: a data set in data/ is domain/class/image"):
        folder_preset(Path("data/set"))
    (tmp_path / "data/set.versions.yaml").touch()
    assert "2 domains (test, train)" in folder_preset(Path("data/set")).title


@pytest.mark.skipif("CROFT_REAL_DATA" not in os.environ, reason="CROFT_REAL_DATA names no folder of real images")
def test_a_real_folder() -> None:
    preset = folder_preset(Path(os.environ["CROFT_REAL_DATA"]) / "pacs-mini")
    assert "672 images, 4 domains (art_painting, cartoon, photo, sketch), 7 classes" in preset.title
    assert (preset.values["split.shots"], preset.values["split.validation"], len(preset.warnings)) == (16, 8, 1)


def make_images(root: Path, counts: dict[str, dict[str, int]]) -> None:
    for outer, inner in counts.items():
        for name, count in inner.items():
            folder = root / outer / name
            folder.mkdir(parents=True)
            for index in range(count):
                (folder / f"{index}.jpg").write_bytes(b"x")
