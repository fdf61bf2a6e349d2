from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd
import pytest

from pipeline.data.near_leakage import CHECK, leakage_verdict, near_leakage
from pipeline.tables import TEST_ID, TEST_SHIFTED, TRAIN, VALIDATION

A, B, C, D = (f"ink/cat/{i:03d}.png" for i in range(4))
E = "neon/cat/000.png"


@pytest.fixture
def manifest(rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """A and B differ in 2 bits, B and C in 2 others, so A and C in 4; D and E are equal; the rest are far apart."""
    table = rows([("ink", "cat", 6), ("neon", "cat", 3)])
    hashes = {A: "00000000ffffffff", B: "00000000fffffffc", C: "00000000fffffff0", D: "0f" * 8, E: "0f" * 8}
    return table.assign(phash=table["path"].map(hashes).fillna(table["phash"]))


def fit(target: str, roles: dict[str, str], seed: int = 1) -> pd.DataFrame:
    return pd.DataFrame(
        [(target, seed, p, r, 0) for p, r in roles.items()], columns=["target", "seed", "path", "role", "label"]
    )


def test_pairs_on_two_sides_of_one_fit(manifest: pd.DataFrame) -> None:
    splits = pd.concat(
        [
            fit("neon", {A: TRAIN, B: TEST_ID, C: TRAIN, D: VALIDATION, E: TEST_SHIFTED}),
            fit("ink", {A: TRAIN, B: TRAIN, C: TRAIN, D: TEST_ID, E: TEST_SHIFTED}),  # within one side: no leak
            fit("ink", {A: VALIDATION, C: TRAIN, D: TRAIN}, seed=2),  # 4 bits apart, and E is not in this fit
        ]
    )
    found, complete = near_leakage(splits, manifest, distance=2)
    assert complete
    assert set(zip(found["target"], found["seed"], strict=True)) == {("neon", 1)}
    rows = {row.path: (row.role, row.other, row.other_role, row.bits) for row in found.itertuples()}
    assert set(rows) == {A, B, C, D, E}
    assert rows[A] == (TRAIN, B, TEST_ID, 2)
    assert rows[C] == (TRAIN, B, TEST_ID, 2)
    assert rows[E] == (TEST_SHIFTED, D, VALIDATION, 0)
    wider, _ = near_leakage(splits, manifest, distance=4)
    assert (wider["seed"] == 2).sum() == 2


def test_verdict_tells_each_pair_once(manifest: pd.DataFrame) -> None:
    roles = {A: TRAIN, B: TEST_ID, C: TEST_ID, D: VALIDATION, E: TEST_SHIFTED}
    splits = pd.concat([fit("neon", roles, seed) for seed in (1, 2, 3)])
    found, complete = near_leakage(splits, manifest, distance=2)
    verdict = leakage_verdict(found, complete=complete, distance=2, fatal=False)
    assert (verdict["success"], verdict["severity"], verdict["images"], verdict["fits"]) == (True, "warning", 4, 3)
    assert verdict["examples"] == [
        f"{A} (train) ~ {B} (test_id, 2 bits)",
        f"{D} (validation) ~ {E} (test_shifted, 0 bits)",
    ]
    assert verdict["line"].startswith(f"{CHECK}: 4 images in 3 fits")
    assert A in verdict["line"]
    assert "more" not in verdict["line"]
    json.dumps(verdict, allow_nan=False)
    assert not leakage_verdict(found, complete=True, distance=2, fatal=True)["success"]


def test_five_pairs_are_named_twenty_kept_and_all_counted(rows: Callable[..., pd.DataFrame]) -> None:
    manifest = rows([("ink", "cat", 60)])
    manifest["phash"] = [f"{number // 2 * 0x0101:016x}"[::-1] for number in range(60)]
    splits = fit("neon", {path: (TRAIN, TEST_ID)[row % 2] for row, path in enumerate(manifest["path"])})
    verdict = leakage_verdict(near_leakage(splits, manifest, distance=0)[0], complete=True, distance=0, fatal=False)
    assert verdict["images"] == 60
    assert len(verdict["examples"]) == 20
    assert verdict["line"].endswith(", and 50 more")


def test_nothing_found(manifest: pd.DataFrame) -> None:
    found, _ = near_leakage(fit("neon", {A: TRAIN, D: VALIDATION}), manifest, distance=7)
    verdict = leakage_verdict(found, complete=True, distance=7, fatal=True)
    assert found.empty
    assert (verdict["success"], verdict["images"], verdict["fits"], verdict["line"]) == (True, 0, 0, "")
