from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.data.quality import check_manifest
from pipeline.data.quality_suite import run_suites
from pipeline.data.rules import MODES, Rule, rules
from pipeline.images import to_rgb
from pipeline.params import FATAL, Check, Data, Split
from pipeline.tables import REFUSED

Rows = Callable[..., pd.DataFrame]
KNOWN = ["cat", "dog"]
GROUPS = [(d, c, 30) for d in ("ink", "neon") for c in ("cat", "dog", "owl")]
NONE_REFUSED = pd.DataFrame(columns=list(REFUSED.columns), dtype="str")
ONES = "ffffffffffffffff"


def check(manifest: pd.DataFrame, docs: Path, **changes: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    """`changes` are keys of the section data, or arguments of `check_manifest`."""
    known = changes.pop("known", KNOWN)
    settings = {
        "refused": NONE_REFUSED,
        "split": Split(),
        "class_names": {},
        "tokens": dict.fromkeys(known, (8, 1)),
        "context": 77,
        "docs": docs,
    }
    settings |= {key: changes.pop(key) for key in settings.keys() & changes.keys()}
    return check_manifest(manifest, data=Data.model_validate({"root": "images", **changes}), **settings)


def failed(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["check"]: c for c in verdict["checks"] if not c["success"]}


def in_pool(manifest: pd.DataFrame, *pools: str) -> pd.DataFrame:
    """Rows whose domain is one of `pools` lie in that pool."""
    pooled = manifest["domain"].isin(pools)
    path = manifest["path"].where(~pooled, "open_sets/" + manifest["path"])
    pool = manifest["domain"].where(pooled, "")
    return manifest.assign(path=path, pool=pool, domain=manifest["domain"].mask(pooled, ""))


def test_clean_data_pass_and_the_docs_are_the_same_bytes_again(rows: Rows, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    manifest = in_pool(rows([*GROUPS, ("dtd", "banded", 3)]), "dtd")
    verdict, faults = check(manifest, docs)
    assert verdict["success"]
    assert [verdict[k] for k in ("problems", "warnings", "notes")] == [[], [], []]
    assert not failed(verdict)
    assert faults.empty
    counts = ("images", "refused", "domains", "known_classes", "unknown_classes", "pool_classes")
    assert [verdict[k] for k in counts] == [183, 0, 2, 2, 1, 1]
    json.dumps(verdict, allow_nan=False)
    first = {p.name: p.read_bytes() for p in docs.iterdir()}
    (docs / "left over.html").write_text("from an earlier run")
    check(manifest, docs)
    assert {p.name: p.read_bytes() for p in docs.iterdir()} == first


def test_every_check_of_params_is_made(rows: Rows, tmp_path: Path) -> None:
    verdict, _ = check(rows(GROUPS), tmp_path / "docs")
    after_the_split = {"near_duplicates_across_splits"}
    assert {c["check"] for c in verdict["checks"]} == set(get_args(Check)) - after_the_split
    assert {c["check"] for c in verdict["checks"] if c["severity"] == "fatal"} == set(FATAL)


def test_every_check_is_explained_with_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs/data-quality.md").read_text(encoding="utf-8")
    explained = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", text, re.MULTILINE))
    assert explained == {name: "yes" if name in FATAL else "no" for name in get_args(Check)}


def test_faults_of_images_are_named(rows: Rows, tmp_path: Path) -> None:
    manifest = rows([("ink", "cat", 23), ("ink", "dog", 30), ("neon", "dog", 30), ("neon", "owl", 4)])
    # rows 0-22 are ink/cat, 23-52 ink/dog, 53-82 neon/dog, 83-86 neon/owl
    manifest.loc[5, "sha256"] = manifest.at[60, "sha256"]
    manifest.loc[[30, 31], "sha256"] = "same"
    manifest.loc[[32, 55], "sha256"] = "other"
    manifest.loc[[6, 84], "phash"] = ["00000000ffffffff", "00000000fffffffc"]
    manifest.loc[8, "height"] = 15
    manifest.loc[9, "format"] = "ICO"
    manifest.loc[10, "mode"] = "F"
    manifest.loc[11, "phash"] = None
    refused = pd.DataFrame({"path": ["ink/cat/x.png"], "problem": ["damaged image: cut"]})
    verdict, faults = check(manifest, tmp_path / "docs", refused=refused)
    assert not verdict["success"]
    wrong = failed(verdict)
    assert {name: found["count"] for name, found in wrong.items()} == {
        "complete": 1,
        "refused": 1,
        "large_enough": 1,
        "known_format": 1,
        "convertible_mode": 1,
        "duplicates_within_class": 2,
        "duplicates_across_classes": 2,
        "duplicates_across_domains": 4,
        "near_duplicates_across_classes": 2,
        "near_duplicates_across_domains": 2,
        "enough_images": 3,
    }
    assert {name: wrong[name]["examples"] for name in wrong} == {
        "complete": ["ink/cat/011.png lacks phash"],
        "refused": ["ink/cat/x.png: damaged image: cut"],
        "large_enough": ["ink/cat/008.png (15 pixels)"],
        "known_format": ["ink/cat/009.png (ICO)"],
        "convertible_mode": ["ink/cat/010.png (F)"],
        "duplicates_within_class": ["ink/dog/007.png = ink/dog/008.png"],
        "duplicates_across_classes": ["ink/cat/005.png = neon/dog/007.png"],
        "duplicates_across_domains": ["ink/cat/005.png = neon/dog/007.png", "ink/dog/009.png = neon/dog/002.png"],
        "near_duplicates_across_classes": ["ink/cat/006.png ~ neon/owl/001.png (2 bits)"],
        "near_duplicates_across_domains": ["ink/cat/006.png ~ neon/owl/001.png (2 bits)"],
        "enough_images": [
            "ink/cat has 23 of 24 images",
            "neon/cat has 0 of 24 images",
            "ink/(unknown classes) has 0 of 1 images",
        ],
    }
    assert sum("near_duplicates" in line or "refused" in line for line in verdict["warnings"]) == 3
    assert len(verdict["warnings"]) + len(verdict["problems"]) == len(wrong)
    assert not any("\n" in line for line in verdict["warnings"] + verdict["problems"])
    assert (verdict["fatal_faults"], verdict["other_faults"]) == (15, 5)
    assert len(faults) == 20
    assert faults[faults["check"] == "duplicates_within_class"].to_numpy().tolist() == [
        ["duplicates_within_class", "fatal", "ink/dog/007.png", "ink/dog/007.png = ink/dog/008.png"],
        ["duplicates_within_class", "fatal", "ink/dog/008.png", "ink/dog/008.png = ink/dog/007.png"],
    ]


def test_an_emptied_class_folder_stops_the_run(rows: Rows, tmp_path: Path) -> None:
    manifest = rows([*GROUPS, ("ink", "fox", 3)])
    refused = pd.DataFrame(
        [
            ("ink/cat/bad.png", "damaged image: cut"),  # others of this class are left
            ("neon/fox/1.heic", "a HEIC image"),  # a class of another domain
            ("neon/fox/2.heic", "a HEIC image"),
            ("neon/readme.txt", "a file at the wrong depth"),
            ("open_sets/dtd/banded/x.png", "damaged image: cut"),
        ],
        columns=list(REFUSED.columns),
    )
    verdict, faults = check(manifest, tmp_path / "docs", refused=refused)
    assert not verdict["success"]
    found = failed(verdict)["empty_class"]
    assert (found["severity"], found["count"], found["unit"]) == ("fatal", 2, "class folder")
    assert found["examples"] == [
        "neon/fox (2 refused; the first is neon/fox/1.heic: a HEIC image)",
        "open_sets/dtd/banded (1 refused; the first is open_sets/dtd/banded/x.png: damaged image: cut)",
    ]
    assert verdict["problems"][0].startswith("empty_class: 2 class folders, without a usable image: neon/fox (2 ref")
    assert set(faults.loc[faults["check"] == "empty_class", "name"]) == {"neon/fox", "open_sets/dtd/banded"}
    fatal = [name for name in FATAL if name != "empty_class"]
    assert check(manifest, tmp_path / "docs", refused=refused, fatal=fatal)[0]["success"]


def test_a_file_with_a_defect_is_a_warning(rows: Rows, tmp_path: Path) -> None:
    manifest = rows(GROUPS)
    manifest.loc[7, "defect"] = "lacks its end marker"
    verdict, _ = check(manifest, tmp_path / "docs")
    assert verdict["success"]
    assert verdict["warnings"] == [
        "whole_files: 1 image, damaged, but the whole picture can be read: ink/cat/007.png lacks its end marker"
    ]


def test_twenty_examples_in_the_verdict_five_in_the_line_and_all_in_the_table(rows: Rows, tmp_path: Path) -> None:
    verdict, faults = check(rows(GROUPS).assign(width=3), tmp_path / "docs")
    found = failed(verdict)["large_enough"]
    assert found["count"] == 180
    assert len(found["examples"]) == 20
    assert len(faults) == 180
    (line,) = verdict["problems"]
    assert line.startswith("large_enough: 180 images, shorter side below data.min_side (16 pixels): ink/cat/000.png")
    assert line.endswith("ink/cat/004.png (3 pixels), and 175 more")


def test_what_is_fatal_is_what_params_say(rows: Rows, tmp_path: Path) -> None:
    manifest = rows(GROUPS)
    manifest.loc[[0, 40], "phash"] = ONES
    verdict, _ = check(manifest, tmp_path / "docs")
    assert (verdict["success"], len(verdict["warnings"]), verdict["problems"]) == (True, 1, [])
    verdict, _ = check(manifest, tmp_path / "docs", fatal=["near_duplicates_across_classes"])
    assert not verdict["success"]
    assert verdict["warnings"] == []
    assert "ink/cat/000.png ~ ink/dog/010.png (0 bits)" in verdict["problems"][0]
    page = (tmp_path / "docs" / "index.html").read_text()
    row = re.search(r"<code>near_duplicates_across_classes</code>.*?</tr>", page, re.DOTALL)
    assert row is not None
    assert ">fatal<" in row[0]
    assert "ink/dog/010.png" in row[0]
    verdict, _ = check(rows(GROUPS).assign(width=3), tmp_path / "docs", fatal=[])
    assert verdict["success"]
    assert len(verdict["warnings"]) == 1


def test_misplaced_class_is_out_of_balance(rows: Rows, tmp_path: Path) -> None:
    manifest = rows([("ink", "cat", 303), ("ink", "dog", 3), ("neon", "cat", 300), ("neon", "dog", 3)])
    found = failed(
        check(manifest, tmp_path / "docs", split=Split(shots=2, validation=1))[0]
    )  # 303 : 3 is above 100, 300 : 3 is not
    assert list(found) == ["class_balance"]
    assert found["class_balance"]["examples"] == ["ink/dog (3 images)"]


def test_names_of_classes(rows: Rows, tmp_path: Path) -> None:
    names = ["cat", "Cat", "felis", "puma", "sofa", "couch", "robin", "xoloitzcuintli"]
    manifest = rows([(d, c, 30) for d in ("ink", "neon") for c in names])
    known = ["Cat", "cat", "couch", "felis", "puma", "robin", "xoloitzcuintli"]
    verdict, _ = check(
        manifest,
        tmp_path / "docs",
        known=known,
        class_names={"puma": "large cat", "felis": "LargeCat"},
        tokens=dict.fromkeys(known, (8, 1)) | {"robin": (78, 1), "xoloitzcuintli": (12, 8), "puma": (77, 0)},
        synonyms=[["robin", "Sofa"]],
    )
    wrong = failed(verdict)
    assert {name: found["examples"] for name, found in wrong.items()} == {
        "class_names_distinct": ["Cat and cat", "felis and puma"],
        "class_names_fit": ["robin (78 tokens)"],
        "class_names_known": ["puma (0 tokens)", "xoloitzcuintli (8 tokens)"],
        "open_set_disjoint": ["sofa means couch"],  # and robin, by the list of one's own; one is enough
    }


def test_a_known_class_that_is_named_like_no_class_is_asked_about(rows: Rows, tmp_path: Path) -> None:
    names = ["cat", "null", "none", "other", "background", "misc", "257.clutter"]
    manifest = rows([(d, c, 30) for d in ("ink", "neon") for c in names])
    called = {"background": "empty street", "257.clutter": "clutter"}
    verdict, _ = check(manifest, tmp_path / "docs", known=names, class_names=called)
    assert verdict["success"]  # a name alone does not say that the class is none
    wrong = failed(verdict)
    assert {name: found["examples"] for name, found in wrong.items()} == {
        "class_names_catch_all": ["257.clutter", "misc", "none", "null", "other"]
    }
    (line,) = verdict["warnings"]
    assert line.startswith("class_names_catch_all: 5 classes, named like what belongs to no class (list it in")
    left = [name for name in names if name in ("cat", "background")]
    assert not failed(check(manifest, tmp_path / "docs", known=left, class_names=called)[0])  # the others are unknown
    verdict, _ = check(manifest, tmp_path / "docs", known=names, fatal=["class_names_catch_all"])
    assert not verdict["success"]


def test_pools(rows: Rows, tmp_path: Path) -> None:
    pools = [
        ("calt", "dalmatian", 3),
        ("calt", "emu", 3),
        ("pets", "dogs", 3),
        ("dtd", "banded", 3),
        ("dtd", "zigzag", 2),
    ]
    manifest = in_pool(rows([*GROUPS, *pools]), "calt", "pets", "dtd")
    clean, _ = check(manifest[manifest["pool"] != "pets"], tmp_path / "docs")
    assert clean["success"]
    assert clean["notes"] == ["1 pool class left out, same meaning as a known class: calt/dalmatian (means dog)"]
    # nothing is left of the pool of dogs
    verdict, _ = check(manifest, tmp_path / "docs")
    assert failed(verdict)["pools_disjoint"]["examples"] == ["open_sets/pets/dogs means dog"]
    verdict, _ = check(manifest, tmp_path / "docs", open_set_overlap="fail")
    assert failed(verdict)["pools_disjoint"]["count"] == 2
    assert verdict["notes"] == []


def test_images_of_pools_may_be_no_images_of_domains(rows: Rows, tmp_path: Path) -> None:
    manifest = in_pool(
        rows([*GROUPS, ("calt", "dalmatian", 3), ("calt", "emu", 3), ("dtd", "banded", 3)]), "calt", "dtd"
    )
    where = manifest.reset_index().set_index("path")["index"]
    twins = [
        ("open_sets/calt/emu/000.png", "ink/cat/003.png"),
        ("open_sets/dtd/banded/001.png", "open_sets/calt/emu/001.png"),
    ]
    twins += [("open_sets/calt/dalmatian/000.png", "neon/dog/000.png")]  # removed, so its images are not used
    for number, pair in enumerate(twins):
        manifest.loc[[where[path] for path in pair], "sha256"] = f"content {number}"
    manifest.loc[[where["open_sets/dtd/banded/002.png"], where["ink/owl/001.png"]], "phash"] = ONES
    verdict, _ = check(manifest, tmp_path / "docs")
    found = {name: found["examples"] for name, found in failed(verdict).items()}
    assert found == {
        "duplicates_across_classes": ["ink/cat/003.png = open_sets/calt/emu/000.png"],
        "near_duplicates_across_classes": ["ink/owl/001.png ~ open_sets/dtd/banded/002.png (0 bits)"],
    }
    kept = failed(check(manifest, tmp_path / "docs", open_set_overlap="fail")[0])
    assert "neon/dog/000.png = open_sets/calt/dalmatian/000.png" in kept["duplicates_across_classes"]["examples"]


@pytest.mark.parametrize("seed", range(3))
def test_the_rules_own_count_is_great_expectations_count(seed: int, tmp_path: Path) -> None:
    """Names come from the rules and verdicts from Great Expectations: both must mean the same rows."""
    rng = np.random.default_rng(seed)
    bounds = [{}, {"at_least": 3}, {"at_most": 5}, {"at_least": 2, "at_most": 6}, {"among": ("a", "b")}]
    numbers = np.where(rng.random(60) < 0.2, np.nan, rng.integers(0, 9, 60))
    texts = pd.Series(rng.choice(["a", "b", "c", None], 60), dtype=object)
    own = [Rule(f"c{i}", "fail", "t", f"v{i}", "{name}", **bound) for i, bound in enumerate(bounds)]
    frame = pd.DataFrame({"name": [f"r{i}" for i in range(60)], "v0": texts, "v4": texts})
    frame[["v1", "v2", "v3"]] = np.stack([numbers] * 3, axis=1)
    counts = run_suites(own, {"t": frame}, {rule.check: rule.worded(frame) for rule in own}, [], tmp_path)
    assert counts == {rule.check: int(rule.faults(frame).sum()) for rule in own}
    assert min(counts.values()) > 0


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_that_passes_is_converted(mode: str) -> None:
    assert to_rgb(Image.new(mode, (4, 4))).mode == "RGB"


def test_docs_need_no_network_and_run_no_script(rows: Rows, tmp_path: Path) -> None:
    manifest = rows(GROUPS)
    manifest.loc[0, ["path", "height"]] = ["ink/cat/<img src=x onerror=alert(1)>.png", 3]
    check(manifest, tmp_path / "docs")
    pages = {page.name: page.read_text(encoding="utf-8") for page in (tmp_path / "docs").iterdir()}
    tables = {rule.table for rule in rules(min_side=1, context=1)}
    assert {"index.html", *(f"validations-{name}.html" for name in tables)} <= set(pages)
    for name, page in pages.items():
        assert not re.findall(r"<script|<link|<iframe|https?://|url\(", page, re.IGNORECASE), name
        assert "default-src 'none'" in page
        for target in re.findall(r'href="([^"#]+)"', page):
            assert target in pages, (name, target)
    assert "&lt;img src=x" in pages["index.html"]
    assert "<img" not in pages["index.html"]
    assert "Great Expectations" in pages["index.html"]
