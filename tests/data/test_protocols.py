from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.data.leakage import check_splits
from pipeline.data.protocols import make_splits
from pipeline.errors import DataError, ParamsError
from pipeline.params import Split
from pipeline.tables import DEPLOY, SPLITS

Rows = Callable[..., pd.DataFrame]
KNOWN = ["cat", "dog"]
GROUPS = [
    *(("ink", "cat", 9), ("ink", "dog", 8), ("ink", "owl", 3)),
    *(("neon", "cat", 7), ("neon", "dog", 7), ("neon", "owl", 2)),
    *(("wood", "cat", 10), ("wood", "dog", 12), ("wood", "owl", 1)),
]


def split(manifest: pd.DataFrame, **changed: Any) -> pd.DataFrame:
    settings = {
        "seeds": [1, 2],
        "shots": 4,
        "validation": 3,
    }
    known = changed.pop("known", KNOWN)
    return make_splits(manifest, known, Split.model_validate(settings | changed))


def counts(table: pd.DataFrame, target: str, seed: int) -> Counter[tuple[str, int]]:
    rows = table[(table["target"] == target) & (table["seed"] == seed)]
    return Counter(zip(rows["role"], rows["label"], strict=True))


def test_counts_by_hand(rows: Rows) -> None:
    table = split(rows(GROUPS))
    assert list(table.columns) == list(SPLITS.columns)
    # ink held out, sources neon and wood: 2 x 3 validate and 2 x 4 train per class; 17 cats and 19 dogs - 14 are left
    assert counts(table, "ink", 1) == {
        ("validation", 0): 6,
        ("validation", 1): 6,
        ("train", 0): 8,
        ("train", 1): 8,
        ("test_id", 0): 3,
        ("test_id", 1): 5,
        ("test_shifted", 0): 9,
        ("test_shifted", 1): 8,
        ("test_unknown", -1): 3,
        ("test_unknown_id", -1): 3,  # the owls of neon and wood
    }
    # the deployed fit: three domains, nothing is tested
    assert counts(table, DEPLOY, 1) == {("validation", 0): 9, ("validation", 1): 9, ("train", 0): 12, ("train", 1): 12}
    fits = set(zip(table["target"], table["seed"], strict=True))
    assert fits == {(t, s) for t in ("ink", "neon", "wood") for s in (1, 2)} | {(DEPLOY, 1)}


def test_pooled_shots_by_hand(rows: Rows) -> None:
    table = split(rows(GROUPS), shots_per="class", seeds=[5])
    # validation stays per domain; 17 cats - 6 = 11 remain, of which 4 train
    assert counts(table, "ink", 5)["train", 0] == 4
    assert counts(table, "ink", 5)["validation", 0] == 6
    assert counts(table, "ink", 5)["test_id", 0] == 7


def test_nothing_leaks(rows: Rows) -> None:
    manifest = rows(GROUPS)
    for shots_per in ("class_and_domain", "class"):
        check_splits(split(manifest, shots_per=shots_per), manifest)


def test_choice_follows_the_written_rule(rows: Rows) -> None:
    manifest = rows(GROUPS)
    table = split(manifest, seeds=[7]).set_index(["target", "path"])["role"]
    group = manifest[(manifest["domain"] == "wood") & (manifest["class"] == "cat")]
    ranked = sorted(
        group["path"],
        key=lambda p: hashlib.sha256(f"7:croft-split-1:{hashlib.sha256(p.encode()).hexdigest()}".encode()).hexdigest(),
    )
    expected = ["validation"] * 3 + ["train"] * 4
    for target, last in (("ink", "test_id"), ("neon", "test_id")):
        assert [table[target, path] for path in ranked] == expected + [last] * 3
    assert [table.get((DEPLOY, path)) for path in ranked] == [*expected, None, None, None]


def test_table_is_pinned(rows: Rows) -> None:
    """The same split on every machine and in every release: published numbers depend on it."""
    table = split(rows(GROUPS))
    table = table.loc[table["role"] != "test_unknown_id", ["target", "seed", "path", "role", "label"]]
    text = table.to_csv(index=False, lineterminator="\n")
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "937009609ed4a060bcde913df22c6f93c61436e8e87d635639e6263b308dc8a2"
    )


def test_order_of_files_and_unrelated_images_do_not_matter(rows: Rows) -> None:
    manifest = rows(GROUPS)
    table = split(manifest)
    assert split(manifest.sample(frac=1, random_state=3)).equals(table)
    more = split(rows([*GROUPS, ("ink", "yak", 9), ("neon", "yak", 9)]))
    more = more[~more["path"].str.contains("yak")].reset_index(drop=True)
    assert more.equals(table)


def test_names_of_files_do_not_matter(rows: Rows) -> None:
    manifest = rows(GROUPS)
    renamed = manifest.assign(
        path=[
            f"{d}/{c}/{h[:8]}.png"
            for d, c, h in zip(manifest["domain"], manifest["class"], manifest["sha256"], strict=True)
        ]
    )
    new_name = dict(zip(manifest["path"], renamed["path"], strict=True))
    table = split(manifest)
    expected = table.assign(path=table["path"].map(new_name)).sort_values(["target", "seed", "path"], ignore_index=True)
    assert split(renamed).equals(expected)


def test_a_seed_trains_on_the_same_images_whatever_is_held_out(rows: Rows) -> None:
    table = split(rows(GROUPS))
    train = table[(table["role"] == "train") & (table["seed"] == 1)]
    chosen = {target: set(group["path"]) for target, group in train.groupby("target")}
    for target in ("ink", "neon", "wood"):
        assert chosen[target] == {path for path in chosen[DEPLOY] if not path.startswith(f"{target}/")}
    other = table[(table["role"] == "train") & (table["seed"] == 2) & (table["target"] == "ink")]
    assert set(other["path"]) != chosen["ink"]


def test_targets_can_be_named(rows: Rows) -> None:
    table = split(rows(GROUPS), targets=["wood"])
    assert set(table["target"]) == {"wood", DEPLOY}


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"targets": ["nion"]}, ParamsError, r"split\.targets: no domain named 'nion'; did you mean 'neon'\?"),
        (
            {"shots": 5},
            DataError,
            r"neon/cat: 7 images, but 3 are needed for validation \(split\.validation\) and 5 for training",
        ),
        (
            {"shots": 12, "shots_per": "class"},
            DataError,
            r"cat: 11 images left in neon, wood after validation.*is 12",
        ),
    ],
)
def test_bad_settings(rows: Rows, changed: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        split(rows(GROUPS), **changed)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(5, 12), min_size=6, max_size=6),
    seed=st.integers(0, 2**31),
    shots=st.integers(1, 3),
    validation=st.integers(1, 2),
    pooled=st.booleans(),
)
def test_every_image_has_one_role_and_none_leaks(
    rows: Rows, sizes: list[int], seed: int, shots: int, validation: int, pooled: bool
) -> None:
    names = [(d, c) for d in ("x", "y") for c in ("cat", "dog", "owl")]
    manifest = rows([(d, c, n) for (d, c), n in zip(names, sizes, strict=True)])
    table = split(
        manifest, seeds=[seed], shots=shots, validation=validation, shots_per="class" if pooled else "class_and_domain"
    )
    check_splits(table, manifest)
    for target in ("x", "y"):
        fit = table[table["target"] == target]
        assert fit["path"].tolist() == sorted(manifest["path"])
        assert (fit["role"] == "train").sum() == 2 * shots
        assert (fit["role"] == "validation").sum() == 2 * validation
