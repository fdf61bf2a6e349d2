"""Which images are resampled together."""

from __future__ import annotations

import pandas as pd

from pipeline.evaluation.clusters import alike_groups


def test_equal_and_alike_images_are_groups_and_chains_are_joined() -> None:
    # b is 1 bit from a, c 2 bits from b and 3 from a; e equals d; f is far from all.
    hashes = {"a": 0, "b": 0b1, "c": 0b111, "d": 0xFF00, "e": 0xFF00, "f": 0xFFFFFFFF0000}
    manifest = pd.DataFrame(
        {"path": list(hashes), "phash": [f"{number:016x}" for number in hashes.values()], "group": ""}
    )
    assert alike_groups(manifest, 2).to_dict() == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "d"}
    assert alike_groups(manifest, 0).to_dict() == {"d": "d", "e": "d"}
    assert alike_groups(manifest.iloc[[0, 5]], 2).empty


def test_groups_of_the_data_join_what_looks_alike() -> None:
    # b and c share a hash; c and d are one patient's, e and f another's; g is alone and looks like none.
    hashes = {"a": 0xF, "b": 0xFF00, "c": 0xFF00, "d": 0xFF0000, "e": 0xFF000000, "f": 0xFF00000000, "g": 0xFF << 48}
    patients = ["", "", "p", "p", "q", "q", "r"]
    phash = [f"{number:016x}" for number in hashes.values()]
    manifest = pd.DataFrame({"path": list(hashes), "phash": phash, "group": patients})
    assert alike_groups(manifest, 2).to_dict() == {"b": "b", "c": "b", "d": "b", "e": "e", "f": "e"}
    assert alike_groups(manifest.iloc[[0, 6]], 2).empty
