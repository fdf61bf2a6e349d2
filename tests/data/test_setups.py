"""Fixed sources, classes that a seed makes unknown, one domain alone, and given parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.data.classes import known_classes as known_in_data
from pipeline.data.leakage import check_splits
from pipeline.data.listing import list_images
from pipeline.data.protocols import class_set, make_splits
from pipeline.errors import DataError, ParamsError
from pipeline.params import Data, Split
from pipeline.splits import known_by_fit, known_classes
from pipeline.tables import DEPLOY, IN_DISTRIBUTION

Rows = Callable[..., pd.DataFrame]
CLASSES = ["ant", "bee", "cow", "dog", "elk"]
# A mini ImageNet: a source, a shifted copy with all classes, one with some of them.
GROUPS = [
    *(("base", name, 12) for name in CLASSES),
    *(("sketch", name, 4) for name in CLASSES),
    *(("hard", name, 3) for name in ("ant", "cow", "elk")),
]


def split(manifest: pd.DataFrame, **changed: Any) -> pd.DataFrame:
    settings = {
        "seeds": [1, 2, 3],
        "shots": 4,
        "validation": 2,
    }
    known = changed.pop("known", CLASSES)
    return make_splits(manifest, known, Split.model_validate(settings | changed))


def test_setup_one_by_hand(rows: Rows) -> None:
    manifest = rows(GROUPS)
    table = split(manifest, sources=["base"], unknown_share=0.6)  # 3 of 5 classes unknown
    check_splits(table, manifest, sources=["base"])
    known = known_by_fit(table)
    assert set(known) == {(t, s) for t in ("hard", "sketch") for s in (1, 2, 3)} | {(DEPLOY, 1)}
    assert known[DEPLOY, 1] == CLASSES
    for (target, seed), names in known.items():
        if target == DEPLOY:
            continue
        assert names == list(class_set(CLASSES, 0.6, seed))
        assert len(names) == 2
        fit = table[(table["target"] == target) & (table["seed"] == seed)]
        here = fit.groupby("role").size().to_dict()
        # base: 2 x 2 validate, 2 x 4 train, 2 x 6 are left; 3 x 12 of unknown classes. sketch: 2 x 4 and 3 x 4.
        assert (here["validation"], here["train"], here["test_id"], here["test_unknown_id"]) == (4, 8, 12, 36)
        if target == "sketch":
            assert (here["test_shifted"], here["test_unknown"]) == (8, 12)
        else:  # hard has 3 of the classes, 3 images each
            both = len({"ant", "cow", "elk"} & set(names))
            assert here.get("test_shifted", 0) == 3 * both
            assert here.get("test_unknown", 0) == 3 * (3 - both)
        assert dict(zip(fit["class"], fit["label"], strict=True)) == {
            name: names.index(name) if name in names else -1 for name in CLASSES
        }


@pytest.mark.parametrize(
    ("unknown", "changed"),
    [
        ([], {"targets": ["base"]}),
        ([], {"sources": ["base"]}),
        ([], {"sources": ["base"], "unknown_share": 0.6}),
        ([], {"sources": ["base", "sketch"], "targets": ["hard"], "shots": 2, "validation": 1, "seeds": [7]}),
        (["bee", "dog"], {"sources": ["base"], "unknown_share": 0.3}),
        (["elk"], {"sources": ["base"], "parts": {"base": "train", "sketch": "test"}}),
        (["ant"], {"domains": ["base"], "unknown_share": 0.5}),
    ],
    ids=["held out", "one source", "Setup I", "two sources", "unknown twice", "given parts", "one domain"],
)
def test_the_classes_of_the_features_are_those_that_the_splits_know(
    rows: Rows, unknown: list[str], changed: dict[str, object]
) -> None:
    """featurize asks the splits: every class of the domains but the unknown ones, sorted, whatever the protocol."""
    settings = dict(changed)
    parts, domains = settings.pop("parts", {}), settings.pop("domains", ["base", "sketch", "hard"])
    groups = [(domain, name, number) for domain, name, number in GROUPS if domain in domains]
    if "sources" not in settings:  # then each domain is a source of some fit, and needs all classes
        groups = [(domain, name, 12) for domain in domains for name in CLASSES]
    manifest = rows(groups)
    manifest["part"] = manifest["domain"].map(lambda domain: parts.get(domain, ""))
    known = known_in_data(manifest, unknown)
    assert known == sorted(set(CLASSES) - set(unknown))
    assert known_classes(split(manifest, known=known, **settings)) == known


def test_with_fixed_sources_every_target_learns_from_the_same_images(rows: Rows) -> None:
    table = split(rows(GROUPS), sources=["base"], unknown_share=0.4)
    seen = table[table["role"].isin(["train", "validation"])]
    for seed in (1, 2, 3):
        first, second = (
            seen[(seen["target"] == target) & (seen["seed"] == seed)][["path", "role", "label"]].values.tolist()
            for target in ("hard", "sketch")
        )
        assert first == second


def test_both_axes_together(rows: Rows) -> None:
    groups = [(domain, name, 8) for domain in ("ink", "neon", "wood") for name in CLASSES]
    manifest = rows(groups)
    table = split(manifest, known=CLASSES[:4], unknown_share=0.5)  # 2 of 4 and elk are unknown
    check_splits(table, manifest, unknown=["elk"])
    assert {len(names) for (target, _), names in known_by_fit(table).items() if target != DEPLOY} == {2}
    fit = table[(table["target"] == "ink") & (table["seed"] == 1)]
    assert fit[fit["role"] == "test_unknown"].groupby("class").size().tolist() == [8, 8, 8]
    assert "elk" in set(fit.loc[fit["role"] == "test_unknown_id", "class"])


def test_sources_and_targets_may_share_domains(rows: Rows) -> None:
    manifest = rows([(domain, name, 8) for domain in ("ink", "neon", "wood") for name in CLASSES])
    table = split(manifest, sources=["ink", "neon"], targets=["ink", "wood"], seeds=[1])
    check_splits(table, manifest, sources=["ink", "neon"])
    learnt = table[table["role"] == "train"].assign(domain=lambda t: t["path"].str.split("/").str[0])
    assert learnt.groupby("target")["domain"].unique().map(sorted).to_dict() == {
        "*": ["ink", "neon"],
        "ink": ["neon"],
        "wood": ["ink", "neon"],
    }


def test_a_class_more_moves_few_of_a_seeds_unknown_classes() -> None:
    names = [f"c{i:03d}" for i in range(200)]
    for seed in range(20):
        before, after = class_set(names, 0.6, seed), class_set([*names, "new"], 0.6, seed)
        # 120 and 121 are unknown: the new name may take a place among them, or one old name joins them.
        assert len(set(before) - set(after)) <= 1
        assert set(after) <= {*before, "new"}
    shares = [("c000" in class_set(names, 0.6, seed)) for seed in range(300)]
    assert 0.3 < sum(shares) / 300 < 0.5  # 40 % are known; the standard deviation of the share is 0.028


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"sources": ["bose"]}, ParamsError, r"split\.sources: no domain named 'bose'; did you mean 'base'\?"),
        ({"sources": ["base"], "targets": ["base"]}, ParamsError, r"base is the only source"),
        ({"sources": ["hard"]}, DataError, r"^bee: no image of this class in split\.sources \(hard\)"),
        ({"sources": ["base"], "unknown_share": 0.8}, ParamsError, r"0\.8 of 5 classes leaves 1 known; at least 2"),
        ({"sources": ["base"], "unknown_share": 0.05}, ParamsError, r"0\.05 of 5 classes rounds to no unknown class"),
        ({}, DataError, r"hard/ant: 3 images"),  # without sources, hard trains too
    ],
)
def test_bad_settings(rows: Rows, changed: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        split(rows(GROUPS), **changed)


# One domain.


def test_one_domain_is_tested_on_its_own_unseen_images(rows: Rows) -> None:
    manifest = rows([*GROUPS[:5], ("open_sets/textures", "banded", 2)])
    table = split(manifest, unknown_share=0.4, seeds=[1, 2])
    check_splits(table, manifest)
    assert set(table["target"]) == {IN_DISTRIBUTION, DEPLOY}
    fit = table[(table["target"] == IN_DISTRIBUTION) & (table["seed"] == 2)]
    # 3 known classes x 12: 2 validate, 4 train, 6 are tested; 2 unknown classes x 12, and the pool's 2 images
    assert fit.groupby("role").size().to_dict() == {"validation": 6, "train": 12, "test_id": 18, "test_unknown": 26}
    assert fit.groupby("open_set").size().to_dict() == {"": 36, "classes": 24, "textures": 2}


def test_one_domain_without_images_left_to_test_is_refused(rows: Rows) -> None:
    with pytest.raises(DataError, match="no image of a known class is left to test on"):
        split(rows([("base", name, 6) for name in CLASSES]))


def test_all_domains_as_sources_hold_out_none(rows: Rows) -> None:
    manifest = rows([(domain, name, 8) for domain in ("ink", "neon") for name in CLASSES])
    assert set(split(manifest, sources=["ink", "neon"])["target"]) == {IN_DISTRIBUTION, DEPLOY}


def test_a_domain_cannot_be_called_so(tree: Path) -> None:
    (tree / "a").rename(tree / IN_DISTRIBUTION)
    with pytest.raises(DataError, match="a domain cannot be called 'in-distribution'"):
        list_images(tree)


# Parts.


def test_given_parts_by_hand(rows: Rows) -> None:
    manifest = rows(
        [
            *(("base", "ant:train", 6), ("base", "ant:val", 3), ("base", "ant:test", 5)),
            *(("base", "bee:train", 7), ("base", "bee:test", 4)),  # no val: validation comes from train
            *(("base", "cow:train", 6), ("base", "cow:val", 1), ("base", "cow", 2)),  # one val; two are free
            *(("other", "ant:train", 2), ("other", "bee:val", 2), ("other", "cow", 2)),
        ]
    )
    table = split(manifest, known=["ant", "bee", "cow"], sources=["base"], seeds=[1], shots=4, validation=2)
    check_splits(table, manifest, sources=["base"])
    fit = table[table["target"] == "other"].merge(manifest[["path", "part"]], on="path")
    found = fit.groupby(["class", "role", "part"]).size().to_dict()
    assert found["ant", "train", "train"] == 4
    assert found["ant", "validation", "val"] == 2
    assert found["ant", "test_id", "test"] == 5
    assert found["bee", "train", "train"] == 4
    assert found["bee", "validation", "train"] == 2
    assert found["bee", "test_id", "test"] == 4
    cows = {
        role: {part: n for (c, r, part), n in found.items() if (c, r) == ("cow", role)} for role in set(fit["role"])
    }
    assert sum(cows["validation"].values()) == 2
    assert set(cows["validation"]) <= {"val", ""}
    assert sum(cows["train"].values()) == 4
    assert set(cows["train"]) <= {"train", ""}
    assert set(cows["test_id"]) <= {""}
    # No image of `other` was given for test, so all of them are tested.
    assert len(fit[fit["role"] == "test_shifted"]) == 6


def test_a_held_out_domain_with_a_test_part_is_tested_on_it(rows: Rows) -> None:
    manifest = rows(
        [
            *((domain, f"{name}:train", 7) for domain in ("ink", "neon") for name in ("ant", "bee", "owl")),
            *((domain, f"{name}:test", 3) for domain in ("ink", "neon") for name in ("ant", "bee", "owl")),
        ]
    )
    table = split(manifest, known=["ant", "bee"], seeds=[1])
    check_splits(table, manifest, unknown=["owl"])
    tested = table[table["role"].str.startswith("test_")].merge(manifest[["path", "part"]], on="path")
    assert set(tested["part"]) == {"test"}
    here = tested[tested["target"] == "ink"].groupby("role").size().to_dict()
    assert here == {"test_shifted": 6, "test_unknown": 3, "test_id": 6, "test_unknown_id": 3}


def test_too_few_images_that_may_train_are_named(rows: Rows) -> None:
    manifest = rows([("ink", f"{n}:{part}", k) for n in ("ant", "bee") for part, k in (("train", 4), ("test", 9))])
    with pytest.raises(DataError, match=r"ink/ant: 13 images, 4 of them not given for test, but 2 are needed for"):
        split(manifest, known=["ant", "bee"])


@pytest.mark.parametrize(
    ("role", "part", "message"),
    [
        ("train", "test", "is used for training, but was given another"),
        ("train", "val", "is used for training, but was given another"),
        ("validation", "test", "is used for validation, but was given for test"),
        ("test_id", "train", "is used for testing, but was given for training or validation"),
        ("test_unknown_id", "val", "is used for testing, but was given for training or validation"),
    ],
)
def test_an_image_that_serves_against_its_part_is_named(rows: Rows, role: str, part: str, message: str) -> None:
    manifest = rows(GROUPS)
    table = split(manifest, sources=["base"], unknown_share=0.4, targets=["sketch"], seeds=[1])
    path = table.loc[table["role"] == role, "path"].iloc[0]
    manifest.loc[manifest["path"] == path, "part"] = part
    with pytest.raises(DataError, match=message) as caught:
        check_splits(table, manifest, sources=["base"])
    assert str(caught.value).startswith(f"{path}: ")


# What the table itself must show.


@pytest.fixture
def setup_one(rows: Rows) -> tuple[pd.DataFrame, pd.DataFrame]:
    manifest = rows(GROUPS)
    return split(manifest, sources=["base"], unknown_share=0.6), manifest


def refused(table: pd.DataFrame, manifest: pd.DataFrame, message: str, **more: object) -> None:
    with pytest.raises(DataError, match=message):
        check_splits(table, manifest, **{"sources": ["base"], **more})


def test_a_class_that_is_unknown_in_a_fit_and_trains_in_it_is_named(
    setup_one: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    table, manifest = setup_one
    row = table.index[(table["target"] == "sketch") & (table["seed"] == 2) & (table["role"] == "test_unknown_id")][0]
    path = table.at[row, "path"]
    table.loc[row, "role"] = "train"
    refused(table, manifest, f"^{path}: has an unknown class but is used for training")
    table.loc[row, ["label", "open_set"]] = [0, ""]
    refused(table, manifest, "counts as unknown, but its fit trains on its class")


def test_labels_of_another_seeds_classes_are_named(setup_one: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, manifest = setup_one
    chosen = (table["target"] == "sketch") & (table["seed"] == 2) & (table["label"] >= 0)
    table.loc[chosen, "label"] = table.loc[chosen, "class"].map(CLASSES.index)
    refused(table, manifest, "has a label that is not its class's")


def test_a_class_that_no_fit_may_know_is_named(setup_one: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    refused(*setup_one, "has a class of data.unknown", unknown=["elk"])


def test_training_outside_the_sources_is_named(setup_one: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    refused(*setup_one, r"^base/\w+/\d+\.png: is not in split.sources", sources=["sketch"])


def test_testing_in_a_third_domain_is_named(setup_one: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, manifest = setup_one
    fit = (table["target"] == "sketch") & (table["seed"] == 1)
    name = table.loc[fit & (table["role"] == "test_unknown"), "class"]
    name = next(one for one in name if one in ("ant", "cow", "elk"))
    row = table.index[fit & (table["role"] == "test_unknown") & (table["class"] == name)][0]
    table.loc[row, "path"] = f"hard/{name}/000.png"
    refused(table, manifest, f"^hard/{name}/000.png: has a test role that does not fit its domain")


# Stability.


def test_ten_percent_more_images_leave_most_choices(rows: Rows) -> None:
    groups = [(domain, name) for domain in "abcdefgh" for name in CLASSES]
    before, after = (split(rows([(*group, count) for group in groups]), targets=["a"]) for count in (60, 66))
    lost = total = 0
    for seed in (1, 2, 3):
        old, new = (
            set(t.loc[(t["target"] == "a") & (t["seed"] == seed) & (t["role"] == "train"), "path"])
            for t in (before, after)
        )
        lost, total = lost + len(old - new), total + len(old)
    # Per group, the first 2 + 4 places of 66 hold K of the 6 new images, which push min(K, 4) old ones out of the 4
    # that train (to the end, or into validation). E[K] = 6 * 6 / 66 = 0.545, or 13.6 % of 4; hypergeometric with a
    # variance of 0.458, so the sum over 7 * 5 * 3 = 105 groups is 57 with a standard deviation of 6.9.
    assert total == 4 * 105
    assert 57 - 4 * 6.9 < lost < 57 + 4 * 6.9


def test_one_image_less_changes_at_most_one_choice_a_group(rows: Rows) -> None:
    manifest = rows([("ink", name, 9) for name in CLASSES] + [("neon", name, 9) for name in CLASSES])
    table = split(manifest, targets=["neon"], seeds=[1])
    chosen = table[(table["target"] == "neon") & table["role"].isin(["train", "validation"])]
    before = {role: set(part["path"]) for role, part in chosen.groupby("role")}
    for gone in manifest.loc[manifest["domain"] == "ink", "path"]:
        without = split(manifest[manifest["path"] != gone], targets=["neon"], seeds=[1])
        without = without[without["target"] == "neon"]
        for role, paths in before.items():
            now = set(without.loc[without["role"] == role, "path"])
            assert len(now) == len(paths)
            assert len(now - paths) <= 1  # of all groups; and in the group of the image that is gone
            assert {path.split("/")[1] for path in now - paths} <= {gone.split("/")[1]}


def test_folders_written_in_another_order_give_the_same_table(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    from pipeline.data.manifest import build_manifest

    names = [f"{d}/{c}/{i}.png" for d in ("ink", "neon") for c in ("ant", "bee", "owl") for i in range(7)]
    names += [f"open_sets/textures/banded/{i}.png" for i in range(3)]
    hashes = []
    for place, order in enumerate(
        (names, names[::-1], sorted(names, key=lambda n: hashlib.sha256(n.encode()).digest()))
    ):
        root = tmp_path / str(place)
        for name in order:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(names.index(name)).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name)
        manifest = build_manifest(Data(root=str(root), min_side=8, max_pixels=10_000, workers=2)).manifest
        table = split(manifest, known=["ant", "bee"])
        hashes.append(hashlib.sha256(table.to_csv(index=False).encode()).hexdigest())
    assert len(set(hashes)) == 1
