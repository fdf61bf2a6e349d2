from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from pipeline.data.quality import check_manifest

Rows = Callable[..., pd.DataFrame]
KNOWN = ["cat", "dog"]
GROUPS = [(d, c, 30) for d in ("ink", "neon") for c in ("cat", "dog", "owl")]


def check(manifest: pd.DataFrame, docs: Path, required: int = 24) -> dict[str, object]:
    return check_manifest(manifest, known=KNOWN, required=required, min_side=16, docs=docs)


def failed(verdict: dict[str, object]) -> dict[str, dict[str, object]]:
    return {c["name"]: c for c in verdict["checks"] if not c["success"]}


def test_clean_data_pass_and_the_docs_are_the_same_bytes_again(rows: Rows, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    verdict = check(rows(GROUPS), docs)
    assert verdict["success"]
    assert not verdict["problems"]
    assert not failed(verdict)
    assert [verdict[k] for k in ("images", "domains", "known_classes", "unknown_classes")] == [180, 2, 2, 1]
    json.dumps(verdict, allow_nan=False)
    first = {p.name: p.read_bytes() for p in docs.iterdir()}
    (docs / "left over.html").write_text("from an earlier run")
    check(rows(GROUPS), docs)
    assert {p.name: p.read_bytes() for p in docs.iterdir()} == first


def test_faults_are_named(rows: Rows, tmp_path: Path) -> None:
    manifest = rows([("ink", "cat", 23), ("ink", "dog", 30), ("neon", "dog", 30), ("neon", "owl", 4)])
    manifest.loc[5, "sha256"] = manifest.at[60, "sha256"]
    manifest.loc[6, "height"] = 15
    manifest.loc[7, "format"] = "GIF"
    verdict = check(manifest, tmp_path / "docs")
    assert not verdict["success"]
    wrong = failed(verdict)
    assert {name: found["unexpected_count"] for name, found in wrong.items()} == {
        "no exact duplicates": 2,
        "large enough": 1,
        "known format": 1,
        "enough images per class and domain": 3,  # ink/cat 23 of 24, neon/cat none, ink without an unknown class
    }
    # rows 0-22 are ink/cat, 23-52 ink/dog, 53-82 neon/dog: row 60 is neon/dog/007
    assert set(wrong["no exact duplicates"]["examples"]) == {"ink/cat/005.png", "neon/dog/007.png"}
    assert wrong["large enough"]["examples"] == ["ink/cat/006.png"]
    assert wrong["known format"]["examples"] == ["ink/cat/007.png"]
    text = " | ".join(verdict["problems"])
    for part in (
        "ink/cat/005.png = neon/dog/007.png",
        "ink/cat has 23 of 24",
        "neon/cat has 0 of 24",
        "ink/(unknown classes) has 0 of 1",
    ):
        assert part in text
    assert "\n" not in text


def test_examples_stop_at_twenty_and_all_are_counted(rows: Rows, tmp_path: Path) -> None:
    manifest = rows(GROUPS).assign(width=3)
    found = failed(check(manifest, tmp_path / "docs"))["large enough"]
    assert found["unexpected_count"] == 180
    assert len(found["examples"]) == 20


def test_misplaced_class_is_out_of_balance(rows: Rows, tmp_path: Path) -> None:
    manifest = rows([("ink", "cat", 303), ("ink", "dog", 3), ("neon", "cat", 300), ("neon", "dog", 3)])
    found = failed(check(manifest, tmp_path / "docs", required=3))  # 303 : 3 is above 100, 300 : 3 is not
    assert list(found) == ["class balance"]
    assert found["class balance"]["examples"] == ["ink/dog"]


def test_docs_need_no_network_and_run_no_script(rows: Rows, tmp_path: Path) -> None:
    manifest = rows(GROUPS)
    manifest.loc[0, ["path", "height"]] = ["ink/cat/<img src=x onerror=alert(1)>.png", 3]
    check(manifest, tmp_path / "docs")
    pages = {page.name: page.read_text(encoding="utf-8") for page in (tmp_path / "docs").iterdir()}
    assert {"index.html", "validations-images.html", "validations-groups.html"} <= set(pages)
    for name, page in pages.items():
        assert not re.findall(r"<script|<link|<iframe|https?://|url\(", page, re.IGNORECASE), name
        assert "default-src 'none'" in page
        for target in re.findall(r'href="([^"#]+)"', page):
            assert target in pages, (name, target)
    assert "&lt;img src=x" in pages["index.html"]
    assert "<img" not in pages["index.html"]
    assert "Great Expectations" in pages["index.html"]
