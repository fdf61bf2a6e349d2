"""Which perceptual hashes are alike, among a million of them, and which of those carry different labels.

Hashes that differ in at most d of 64 bits agree in at least m of d + m bands of bits, whatever the bits are: sorting by
each choice of m bands brings every such pair together (Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web
Crawling", WWW 2007, section 3). Images of equal hash are one group, so a thousand blank images cost as much as one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_BITS = 64
_WINDOW = 1000  # a hash is compared with at most this many that follow it and agree in its bands
_MAX_PAIRS = 10_000_000  # 160 MB; beyond it the search stops and is marked incomplete


@dataclass(frozen=True)
class Alike:
    """Rows by hash, and which hashes are alike.

    Attributes:
        group: (N,) int64, the same number for rows of equal hash.
        pairs: (P, 2) int64, groups whose hashes differ in at most the distance asked for; each pair once.
        complete: False where a limit ended the search and pairs may be missing.
    """

    group: np.ndarray
    pairs: np.ndarray
    complete: bool = True


def parse_hashes(hashes: Sequence[str]) -> np.ndarray:
    """(N,) uint64 of N hashes of 16 hex digits."""
    import numpy as np

    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8").astype(np.uint64)


def alike(hashes: np.ndarray, distance: int) -> Alike:
    """Group rows by hash and find all pairs of hashes within a distance.

    Args:
        hashes: (N,) uint64.
        distance: bits, 0 to 7.
    Returns:
        The groups and pairs. A hash is compared with at most 1,000 that agree in its bands, and at most 10 million
        pairs are kept: beyond either limit `complete` is False.
    Raises:
        ValueError: distance is out of its range.
    """
    import numpy as np

    if not 0 <= distance <= 7:
        raise ValueError(f"distance: expected 0 to 7 bits, found {distance}")
    values, group = np.unique(hashes, return_inverse=True)
    codes = np.zeros(0, dtype=np.int64)
    complete = True
    for mask in _masks(len(values), distance) if distance else ():
        pairs, whole = _within(values, mask, distance, _MAX_PAIRS)
        codes = np.union1d(codes, pairs)
        complete = complete and whole
        if len(codes) > _MAX_PAIRS:
            codes, complete = codes[:_MAX_PAIRS], False
            break
    rows = np.stack([codes // max(len(values), 1), codes % max(len(values), 1)], axis=1)  # (P, 2)
    return Alike(group.astype(np.int64), rows, complete)


def partners(near: Alike, labels: np.ndarray) -> np.ndarray:
    """For each row, another row that is alike and carries another label.

    Args:
        near: of the same N rows.
        labels: (N,) int64; rows with a label below 0 are skipped.
    Returns:
        (N,) int64 row numbers, -1 where there is none.
    """
    import numpy as np

    partner = np.full(len(labels), -1, dtype=np.int64)
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        return partner
    group, label = near.group[rows], labels[rows]
    count = int(max(near.group.max(), near.pairs.max(initial=0))) + 1
    # The first row of each group, and the first whose label differs from that row's: two rows answer for any other.
    first, second = np.full(count, -1, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    first[group[::-1]] = rows[::-1]
    differs = label != labels[first[group]]
    second[group[differs][::-1]] = rows[differs][::-1]
    match = second.copy()
    for left, right in ((near.pairs[:, 0], near.pairs[:, 1]), (near.pairs[:, 1], near.pairs[:, 0])):
        used = (first[left] >= 0) & (first[right] >= 0)
        left, right = left[used][::-1], right[used][::-1]
        candidate = np.where(labels[first[left]] != labels[first[right]], first[right], second[right])
        wanted = (candidate >= 0) & (match[left] < 0)
        match[left[wanted]] = candidate[wanted]
    partner[rows] = np.where(differs, first[group], match[group])
    return partner


def _masks(count: int, distance: int) -> list[np.uint64]:
    """The bits to sort by: every choice of m of d + m bands, with the m that is cheapest for this many hashes."""
    import numpy as np

    def cost(kept: int) -> float:
        bits = _BITS * kept / (distance + kept)
        return math.comb(distance + kept, kept) * count * (math.log2(count + 1) + count / 2**bits)

    kept = min((1, 2, 3), key=cost)
    edges = [round(_BITS * band / (distance + kept)) for band in range(distance + kept + 1)]
    bands = [(1 << high) - (1 << low) for low, high in itertools.pairwise(edges)]
    return [np.uint64(sum(chosen)) for chosen in itertools.combinations(bands, kept)]


def _within(values: np.ndarray, mask: np.uint64, distance: int, limit: int) -> tuple[np.ndarray, bool]:
    """Pairs (low * N + high) of values that agree in `mask` and differ in few bits, and whether all were compared."""
    import numpy as np

    keys = values & mask
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    last = np.searchsorted(keys, keys, side="right")  # where the run of equal keys ends
    at = np.arange(len(values))
    codes: list[np.ndarray] = []
    total = 0
    for step in range(1, _WINDOW + 1):
        at = at[at + step < last[at]]
        if not len(at) or total > limit:
            break
        left, right = order[at], order[at + step]
        near = np.bitwise_count(values[left] ^ values[right]) <= distance
        left, right = left[near], right[near]
        codes.append(np.minimum(left, right) * len(values) + np.maximum(left, right))
        total += len(left)
    pairs = np.concatenate([np.zeros(0, dtype=np.int64), *codes])
    return pairs, not len(at)
