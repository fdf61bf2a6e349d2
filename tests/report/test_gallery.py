"""Choice of the report's images."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.params import Data
from pipeline.report.gallery import accepted_unknown, build_gallery, confident_mistakes, one_a_class
from pipeline.tables import TEST_ID, TEST_SHIFTED, TEST_UNKNOWN


def limits_of(method: str, target: str) -> pd.DataFrame:
    """A threshold of 1.0."""
    return pd.DataFrame([{"method": method, "target": target, "seed": 1, "threshold": 1.0}])


def test_mistakes_are_wrong_known_images_surest_first_and_once(table_of) -> None:
    scores = table_of(
        [
            ("m", "a", 1, "right", TEST_SHIFTED, 0, 0, 0.0),
            ("m", "a", 1, "twice", TEST_SHIFTED, 0, 1, 0.0),
            ("m", "a", 2, "twice", TEST_SHIFTED, 0, 2, 0.0),
            ("m", "a", 1, "surest", TEST_SHIFTED, 0, 1, 0.0),
            ("m", "a", 1, "source", TEST_ID, 0, 1, 0.0),
            ("m", "a", 1, "unknown", TEST_UNKNOWN, -1, 1, 0.0),
        ]
    ).assign(confidence=[1.0, 0.6, 0.7, 0.9, 1.0, 1.0])
    found = confident_mistakes(scores, 5)
    assert found["path"].tolist() == ["surest", "twice"]
    assert found["predicted"].tolist() == [1, 2]  # the surer of the two wrong answers
    assert len(confident_mistakes(scores, 1)) == 1


def test_accepted_unknown_lie_below_each_fits_own_threshold(table_of) -> None:
    def fit(seed: int, shift: float) -> list:
        known = [("m", "a", seed, f"i{i}", TEST_ID, 0, 0, i + shift) for i in range(20)]
        unknown = [
            ("m", "a", seed, name, TEST_UNKNOWN, -1, 0, s + shift) for name, s in (("deep", 3.0), ("edge", 18.0))
        ]
        return [*known, *unknown, ("m", "a", seed, "out", TEST_UNKNOWN, -1, 0, 18.5 + shift)]

    limits = pd.DataFrame({"method": "m", "target": "a", "seed": [1, 2], "threshold": [18.0, 118.0]})
    found = accepted_unknown(table_of(fit(1, 0.0) + fit(2, 100.0)), limits, 5)
    assert found["path"].tolist() == ["deep", "edge"]


def test_without_unknown_images_none_is_accepted(table_of) -> None:
    scores = table_of([("m", "a", 1, "i", TEST_ID, 0, 0, 1.0), ("m", "b", 1, "u", TEST_UNKNOWN, -1, 0, 1.0)])
    assert accepted_unknown(scores, limits_of("m", "a"), 5).empty  # the only unknown image is another fit's


def test_one_image_a_class_whatever_the_order_of_rows() -> None:
    rows = pd.DataFrame({"class": list("aabbcc"), "sha256": list("214365"), "path": list("uvwxyz")})
    assert one_a_class(rows, 3)["path"].tolist() == ["v", "x", "z"]
    assert one_a_class(rows.iloc[::-1], 2)["path"].tolist() == ["v", "x"]


def write_images(root: Path) -> pd.DataFrame:
    rows = []
    for domain in ("ink", "oil"):
        for name in ("bee", "cat", "yak"):
            path = root / domain / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (300, 200), "red").save(path)
            rows.append({"path": f"{domain}/{name}/0.png", "domain": domain, "class": name, "pool": ""})
    path = root / "open_sets/tex/bee/0.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), "blue").save(path)
    rows.append({"path": "open_sets/tex/bee/0.png", "domain": "", "class": "bee", "pool": "tex"})
    return pd.DataFrame(rows).assign(sha256=[str(place) for place in range(len(rows))])


def known_to(rows: list[tuple[str, int, str]]) -> pd.DataFrame:
    """What a gallery reads of a SPLITS table."""
    return pd.DataFrame(rows, columns=["target", "label", "class"]).assign(seed=1)


def test_gallery_reads_thumbnails_and_captions(tmp_path: Path, table_of) -> None:
    manifest = write_images(tmp_path)
    scores = table_of(
        [
            ("m", "ink", 1, "ink/bee/0.png", TEST_SHIFTED, 0, 1, 1.0),
            ("m", "ink", 1, "ink/yak/0.png", TEST_UNKNOWN, -1, 1, 0.0),
            ("m", "ink", 1, "open_sets/tex/bee/0.png", TEST_UNKNOWN, -1, 0, 0.5, "tex"),
            ("other", "ink", 1, "ink/cat/0.png", TEST_SHIFTED, 1, 0, 1.0),
        ]
    )
    # The fit knows bee and dog; another one knows cat.
    splits = known_to([("ink", 0, "bee"), ("ink", 1, "dog"), ("oil", 0, "cat")])
    found = build_gallery(manifest, scores, splits, Data(root=str(tmp_path)), method="m", limits=limits_of("m", "ink"))
    assert {domain: [(e.title, e.note) for e in items] for domain, items in found.domains.items()} == {
        **{domain: [("bee", ""), ("cat", ""), ("yak", "unknown")] for domain in ("ink", "oil")},
        "open set tex": [("bee", "unknown")],
    }
    # Answers are named by the classes that the fit knows: its second one is dog.
    assert [(e.title, e.note) for e in found.mistakes] == [("bee", "predicted dog, probability 50\u00a0%")]
    assert [(e.title, e.note) for e in found.accepted] == [
        ("yak", "predicted dog, probability 50\u00a0%"),
        ("bee", "tex; predicted bee, probability 50\u00a0%"),
    ]
    with Image.open(io.BytesIO(found.mistakes[0].png)) as image:
        assert (image.format, image.size) == ("PNG", (128, 85))


def test_a_missing_image_is_named(tmp_path: Path, table_of) -> None:
    manifest = write_images(tmp_path)
    (tmp_path / "oil/cat/0.png").unlink()
    scores = table_of([("m", "ink", 1, "ink/bee/0.png", TEST_SHIFTED, 0, 0, 1.0)])
    with pytest.raises(DataError, match=r"oil/cat/0.png: no such file"):
        build_gallery(
            manifest,
            scores,
            known_to([("ink", 0, "bee")]),
            Data(root=str(tmp_path)),
            method="m",
            limits=limits_of("m", "ink"),
        )
