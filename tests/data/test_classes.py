from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from pipeline.data.classes import in_domains, in_pools, known_classes, overlapping_pools
from pipeline.errors import DataError, ParamsError


def test_known_are_all_but_the_unknown_sorted(rows: Callable[..., pd.DataFrame]) -> None:
    manifest = rows([("b", "dog", 1), ("a", "cat", 1), ("a", "emu", 1)])
    assert known_classes(manifest, ["dog"]) == ["cat", "emu"]
    assert known_classes(manifest, []) == ["cat", "dog", "emu"]


def test_mistyped_name_is_answered_with_the_nearest(rows: Callable[..., pd.DataFrame]) -> None:
    manifest = rows([("a", "seven", 1), ("a", "eight", 1), ("a", "zero", 1)])
    with pytest.raises(ParamsError, match=r"data\.unknown: no class folder named 'sevne'; did you mean 'seven'\?"):
        known_classes(manifest, ["sevne"])


def test_fewer_than_two_known_classes_are_refused(rows: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(DataError, match=r"1 of 2 classes left known \(cat\)"):
        known_classes(rows([("a", "cat", 1), ("a", "dog", 1)]), ["dog"])


@pytest.mark.parametrize("name", ["unknown", "Unknown"])
def test_a_class_called_unknown_is_refused_as_a_known_one(rows: Callable[..., pd.DataFrame], name: str) -> None:
    manifest = rows([("a", "cat", 1), ("a", "dog", 1), ("a", name, 1)])
    with pytest.raises(ParamsError, match=rf"data\.unknown: '{name}' cannot be a known class, because predictions say"):
        known_classes(manifest, [])
    assert known_classes(manifest, [name]) == ["cat", "dog"]


def test_the_word_that_no_known_class_may_have_is_what_predictions_say() -> None:
    from pipeline.data.catch_all import UNKNOWN
    from pipeline.serving import predictor

    assert UNKNOWN == predictor.UNKNOWN


def test_pools_are_apart_from_domains(rows: Callable[..., pd.DataFrame]) -> None:
    manifest = rows([("a", "cat", 1), ("a", "dog", 2), ("dtd", "banded", 3)])
    manifest.loc[manifest["domain"] == "dtd", ["domain", "pool"]] = ["", "dtd"]
    assert len(in_domains(manifest)) == 3
    assert set(in_pools(manifest)["class"]) == {"banded"}
    assert known_classes(manifest, []) == ["cat", "dog"]
    with pytest.raises(ParamsError, match="no class folder named 'banded'"):
        known_classes(manifest, ["banded"])


def test_classes_of_pools_that_mean_a_known_class(rows: Callable[..., pd.DataFrame]) -> None:
    pools = {"caltech": ["Faces", "dalmatian", "emu"], "dtd": ["banded"], "nets": ["n02102040", "n07714571"]}
    groups = [(pool, name, 2) for pool, names in pools.items() for name in names]
    manifest = rows([("a", "dog", 2), ("a", "n02084071", 2), ("a", "person", 2), ("a", "owl", 2), *groups])
    pooled = manifest["domain"].isin(pools)
    manifest = manifest.assign(pool=manifest["domain"].where(pooled, ""), domain=manifest["domain"].mask(pooled, ""))
    known = ["dog", "n02084071", "person"]

    found = overlapping_pools(manifest, known, (), {})
    assert found.values.tolist() == [["caltech", "Faces", "person"], ["caltech", "dalmatian", "dog"]]
    found = overlapping_pools(manifest, known, [["emu", "owl"], ["bands", "banded", "person"]], {})
    assert ["dtd", "banded", "person"] in found.values.tolist()
    assert len(found) == 3  # owl is unknown itself, so an emu may be called one
    called = {"n02084071": "cabbage", "n07714571": "cabbages"}
    assert ["nets", "n07714571", "n02084071"] in overlapping_pools(manifest, known, (), called).values.tolist()
    assert overlapping_pools(manifest[~pooled], known, (), {}).empty
