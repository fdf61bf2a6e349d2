from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from pipeline.data import near
from pipeline.data.near import alike, parse_hashes, partners


def planted(seed: int, count: int, distance: int) -> np.ndarray:
    """Random hashes, copies of some of them, and some with up to distance + 2 of their bits turned."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(count // 2, count):
        bits = rng.choice(64, rng.integers(0, distance + 3), replace=False)
        hashes[row] = hashes[rng.integers(0, count // 2)] ^ np.uint64(sum(1 << int(bit) for bit in bits))
    return rng.permutation(hashes)


def brute(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    """By Python's own integers: no bands, no numpy."""
    numbers = [int(value) for value in hashes]
    rows = range(len(numbers))
    return {(i, j) for i, j in itertools.combinations(rows, 2) if (numbers[i] ^ numbers[j]).bit_count() <= distance}


@pytest.mark.parametrize("distance", range(8))
@pytest.mark.parametrize("kept", [None, 1, 2, 3])
def test_all_pairs_and_no_others(distance: int, kept: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = planted(distance, 200, distance)
    if kept is not None:  # every number of bands, not only the one that suits 200 hashes
        monkeypatch.setattr(near, "min", lambda *_, **__: kept, raising=False)
    found = alike(hashes, distance)
    assert found.complete
    together = {frozenset(pair) for pair in found.pairs.tolist()}
    assert len(together) == len(found.pairs)
    expected = brute(hashes, distance)
    assert len(expected) > 20
    assert {
        (i, j)
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if found.group[i] == found.group[j] or frozenset((found.group[i], found.group[j])) in together
    } == expected


@pytest.mark.parametrize("seed", range(20))
def test_partners_are_alike_and_across_the_border(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = planted(seed, 120, 2)
    labels = rng.integers(-1, 3, len(hashes))
    partner = partners(alike(hashes, 2), labels)
    pairs = {(i, j) for i, j in brute(hashes, 2) if labels[i] != labels[j] and min(labels[i], labels[j]) >= 0}
    pairs |= {(j, i) for i, j in pairs}
    assert {i for i, _ in pairs} == set(np.flatnonzero(partner >= 0).tolist())
    assert {(int(i), int(partner[i])) for i in np.flatnonzero(partner >= 0)} <= pairs


def test_hex_digits_are_read_in_order() -> None:
    assert parse_hashes(["0000000000000001", "8000000000000000", "00000000000000ff"]).tolist() == [1, 2**63, 255]
    assert parse_hashes([]).shape == (0,)
    assert len(alike(parse_hashes([]), 2).pairs) == 0
    assert partners(alike(parse_hashes([]), 2), np.zeros(0, dtype=np.int64)).shape == (0,)


def test_blank_images_are_one_group_and_a_crowd_of_nearly_blank_ones_is_cut_short() -> None:
    started = time.process_time()
    blank = alike(np.zeros(300_000, dtype=np.uint64), 2)
    assert (len(blank.pairs), blank.complete) == (0, True)
    assert partners(blank, np.arange(300_000) % 2)[:2].tolist() == [1, 0]
    # 8,000 hashes that agree in 51 of 64 bits: 32 million pairs, most of them too far apart
    crowd = alike(np.arange(8_000, dtype=np.uint64), 2)
    assert not crowd.complete
    assert time.process_time() - started < 30


def test_distance_out_of_range() -> None:
    with pytest.raises(ValueError, match="expected 0 to 7 bits, found 8"):
        alike(np.zeros(2, dtype=np.uint64), 8)
