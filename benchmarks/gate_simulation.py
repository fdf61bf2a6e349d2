"""How often the gate promotes equal and worse challengers, by draws from a real table of results.

    python -m benchmarks.gate_simulation SCORES.parquet --method adapters [--worse OTHER.parquet:METHOD] [--draws 500]

The images and the fits of the table are the population. A draw takes test images with replacement, the same for both
sides, and for each side three fits of each held-out domain with replacement: other images, other seeds. A regression is
then planted in the challenger. Beside the gate stands the point rule that it replaced: promoted where mean accuracy and
mean AUROC have dropped by no more than a point, on the same images, and on images that each side drew for itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.detection.metrics import auroc
from pipeline.evaluation.measures import known_tested
from pipeline.gate.measure import CHALLENGER, CHAMPION, measure
from pipeline.gate.statistics import effect, spent
from pipeline.gate.verdict import NOT_SHOWN, UNDERPOWERED, WORSE, decide
from pipeline.params import Promote
from pipeline.tables import TEST_ID, TEST_UNKNOWN

SEEDS = 3
Plant = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def population(scores: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rows of a method that the gate measures, each with its domain, and `rejected` by a threshold that accepts 95 % of
    the fit's known images."""
    rows = scores[(scores["method"] == method)]
    rows = rows[known_tested(rows) | rows["role"].isin([TEST_ID, TEST_UNKNOWN])].copy()
    rows["domain"] = rows["path"].str.split("/").str[0]
    rows["path"] = pd.factorize(rows["path"])[0]  # numbers join faster than texts
    known = rows[known_tested(rows)]
    limits = known.groupby(["target", "seed"])["score"].quantile(0.95).rename("limit")
    rows = rows.join(limits, on=["target", "seed"])
    return rows.assign(rejected=rows["score"] > rows["limit"]).drop(columns=["limit", "method", "confidence"])


def images(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Columns path and copy: images drawn with replacement, as many of each domain and open set as there are."""
    every = rows.drop_duplicates("path")[["path", "domain", "open_set"]]
    parts = [
        part["path"].sample(len(part), replace=True, random_state=rng)
        for _, part in every.groupby(["domain", "open_set"])
    ]
    drawn = pd.concat(parts)
    return pd.DataFrame({"path": drawn.to_numpy(), "copy": range(len(drawn))})


def fits(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """SEEDS fits of each held-out domain, drawn with replacement and numbered."""
    parts = []
    for _, of_target in rows.groupby("target"):
        for number, seed in enumerate(rng.choice(sorted(of_target["seed"].unique()), SEEDS)):
            parts.append(of_target[of_target["seed"] == seed].assign(seed=number))
    return pd.concat(parts)


def paired(champion: pd.DataFrame, challenger: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """Both sides on the drawn images that both of a pair of fits test."""
    key = ["target", "seed", "path", "role"]
    sides = (
        side.merge(other[key], on=key).merge(drawn, on="path").drop(columns="path").rename(columns={"copy": "path"})
        for side, other in ((champion, challenger), (challenger, champion))
    )
    return pd.concat(
        [side.assign(method=name) for name, side in zip((CHAMPION, CHALLENGER), sides, strict=True)], ignore_index=True
    )


def equal(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows


def less_accurate(points: float, *, worst: bool) -> Plant:
    """Correct answers on known images of the worst held-out domain, or of all domains, become wrong."""

    def plant(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        known, right = known_tested(rows), rows["predicted"] == rows["label"]
        by_target = right[known].groupby(rows.loc[known, "target"]).mean()
        target = by_target.idxmin()
        hit = known & right & ((rows["target"] == target) | (not worst))
        share = points / 100 / (by_target[target] if worst else by_target.mean())
        return rows.assign(predicted=rows["predicted"].mask(hit & (rng.random(len(rows)) < share), -2))

    return plant


def broken_threshold(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(rejected=False)


def flattened(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Noise of three standard deviations: what separates known from unknown images shrinks to a third of the spread."""
    noise = 3 * rows["score"].std() * rng.standard_normal(len(rows))
    score = rows["score"] + noise
    return rows.assign(score=score, rejected=score > np.quantile(score[known_tested(rows)], 0.95))


def point_rule(scores: pd.DataFrame, other: pd.DataFrame | None = None) -> bool:
    """The former rule, on one table of both, or on a table of each."""
    numbers = []
    for table, method in ((scores, CHAMPION), (scores if other is None else other, CHALLENGER)):
        found = []
        for _, rows in table[table["method"] == method].groupby(["target", "seed"]):
            known, unknown = known_tested(rows), rows["role"] == TEST_UNKNOWN
            right = (rows["predicted"] == rows["label"])[known].mean()
            found.append((right, auroc(rows.loc[known, "score"].to_numpy(), rows.loc[unknown, "score"].to_numpy())))
        numbers.append(np.mean(found, axis=0))
    return bool((numbers[1] >= numbers[0] - 0.01).all())


def outcomes(
    rows: pd.DataFrame, worse: pd.DataFrame, plant: Plant, *, draws: int, resamples: int, seed: int
) -> Iterator[dict[str, bool]]:
    """What the gate and the point rule say of each draw.

    Args:
        rows, worse: populations of the champion and of the challenger.
        plant: the regression.
        draws: how many.
        resamples: of the gate's bootstrap.
        seed: of the draws.
    """
    rng, limits = np.random.default_rng(seed), Promote()
    domains = dict(zip(rows["path"], rows["domain"], strict=True))
    for _ in range(draws):
        champion, challenger = fits(rows, rng), plant(fits(worse, rng), rng)
        drawn, other = images(rows, rng), images(rows, rng)
        scores = paired(champion, challenger, drawn)
        home = {copy: domains[path] for path, copy in zip(drawn["path"], drawn["copy"], strict=True)}
        measured = measure(scores, home, resamples=resamples)
        table, promoted = decide(measured, limits, alpha=spent(limits.alpha, 1), superiority=limits.superiority)
        _, lenient = decide(measured, limits, alpha=spent(limits.alpha, 1), superiority="none")
        statuses = {row.status for row in table}
        yield {
            "promoted": promoted,
            "promoted, superiority: none": lenient,
            "a metric worse or not shown": bool(statuses & {WORSE, NOT_SHOWN}),
            "only underpowered": UNDERPOWERED in statuses and not statuses & {WORSE, NOT_SHOWN},
            "point rule, same images": point_rule(scores),
            "point rule, other images": point_rule(scores, paired(champion, challenger, other)),
        }


def family(rows: pd.DataFrame, *, chains: int, length: int, resamples: int, seed: int) -> tuple[float, float]:
    """Share of chains of equal challengers of which one at least is shown to be more accurate than the one champion.

    All metrics but accuracy on held-out domains are left out, so that a promotion is no more frequent than this.

    Returns:
        With the error rate spent over the gates, and with the whole of it at every gate.
    """
    rng, alpha = np.random.default_rng(seed), Promote().alpha
    known = rows[known_tested(rows)]
    right = known.assign(right=(known["predicted"] == known["label"]).astype(float))
    tables = [
        part.pivot(index="seed", columns="path", values="right").to_numpy() for _, part in right.groupby("target")
    ]
    hits = np.zeros((chains, 2), dtype=bool)
    for chain in range(chains):
        drawn = [table[:, rng.integers(table.shape[1], size=table.shape[1])] for table in tables]  # (seeds, I)
        weights = [rng.multinomial(t.shape[1], np.full(t.shape[1], 1 / t.shape[1]), size=resamples).T for t in drawn]
        weights = [np.column_stack([np.ones(len(w)), w]) / len(w) for w in weights]  # (I, 1 + B)

        def trained(drawn: list[np.ndarray] = drawn, weights: list[np.ndarray] = weights) -> np.ndarray:
            every = [t[rng.integers(len(t), size=SEEDS)] @ w for t, w in zip(drawn, weights, strict=True)]
            return np.asarray(np.mean(every, axis=0))  # (SEEDS, 1 + B)

        champion = trained()
        for gate in range(1, length + 1):
            gain = trained() - champion
            found = effect(gain.mean(axis=0), gain[:, 0], sum(len(w) for w in weights))
            hits[chain] |= [found.low(rate) > 0 for rate in (spent(alpha, gate), alpha)]
    first, second = hits.mean(axis=0)
    return float(first), float(second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--method", default="adapters")
    parser.add_argument("--worse", default="", help="FILE:METHOD, a challenger that was really trained worse")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    rows = population(pd.read_parquet(given.scores), given.method)
    cases: dict[str, tuple[pd.DataFrame, Plant]] = {
        "equal": (rows, equal),
        "worst domain 2 points worse": (rows, less_accurate(2, worst=True)),
        "worst domain 3 points worse": (rows, less_accurate(3, worst=True)),
        "all domains 2 points worse": (rows, less_accurate(2, worst=False)),
        "all domains 5 points worse": (rows, less_accurate(5, worst=False)),
        "threshold accepts everything": (rows, broken_threshold),
        "score flattened": (rows, flattened),
    }
    if given.worse:
        file, _, method = given.worse.rpartition(":")
        cases["20 % of the training labels wrong"] = (population(pd.read_parquet(file), method), equal)
    header = False
    for name, (worse, plant) in cases.items():
        if given.only and not any(part in name for part in given.only.split(",")):
            continue
        start = time.time()
        drawn = outcomes(rows, worse, plant, draws=given.draws, resamples=given.resamples, seed=0)
        found = pd.DataFrame(list(drawn)).mean()
        if not header:
            print("| challenger |", " | ".join(found.index), "|", flush=True)
            print("|---" * (1 + len(found)), "|", sep="", flush=True)
            header = True
        print(
            f"| {name} |",
            " | ".join(f"{100 * share:.1f} %" for share in found),
            f"| {time.time() - start:.0f} s",
            flush=True,
        )
    if not given.only or "family" in given.only:
        spread, whole = family(rows, chains=given.draws, length=20, resamples=given.resamples, seed=0)
        print(f"20 equal challengers in a row, one at least shown better: {100 * spread:.1f} %; "
              f"without spending {100 * whole:.1f} %")  # fmt: skip


if __name__ == "__main__":
    main()
