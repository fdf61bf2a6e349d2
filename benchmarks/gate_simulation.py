"""How often the gate promotes equal and worse challengers, by draws from a real table of results.

    python -m benchmarks.gate_simulation SCORES.parquet --method adapters [--worse FILE:METHOD] [--draws 500]

The images and the fits of the table are the population. A draw takes test images with replacement, the same for both
sides, and for each side three fits of each held-out domain with replacement: other images, other seeds. A regression is
then planted in the challenger. Beside the gate stands the point rule that it replaced: promoted where mean accuracy and
mean AUROC have dropped by no more than a point, on the same images, and on images that each side drew for itself. All
metrics of the gate take part but the accuracy on source domains, of which each fit has images of its own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.evaluation import weighted
from pipeline.evaluation.compare import WORST
from pipeline.evaluation.measures import known_tested
from pipeline.gate.measure import DECISION, of_cubes
from pipeline.gate.statistics import effect, spent
from pipeline.gate.verdict import NOT_SHOWN, UNDERPOWERED, WORSE, decide
from pipeline.params import Promote
from pipeline.tables import TEST_UNKNOWN

SEEDS = 3


@dataclass(frozen=True)
class Results:
    """Fits of one held-out domain: right, score, rejected of known images (S, I); the same of unknown ones (S, U)."""

    right: np.ndarray
    score: np.ndarray
    rejected: np.ndarray
    unknown: np.ndarray
    found: np.ndarray

    def of(self, seeds: np.ndarray, known: np.ndarray, unknown: np.ndarray) -> Results:
        """These fits on these images."""
        first = (array[np.ix_(seeds, known)] for array in (self.right, self.score, self.rejected))
        return Results(*first, *(array[np.ix_(seeds, unknown)] for array in (self.unknown, self.found)))


Fits = list[Results]
Plant = Callable[[Fits, np.random.Generator], Fits]


def population(scores: pd.DataFrame, method: str) -> Fits:
    """A method's results; the threshold of each fit accepts 95 % of its known images."""
    fits = []
    for _, rows in scores[scores["method"] == method].groupby("target"):
        rows = rows.assign(right=(rows["predicted"] == rows["label"]))
        wide = [
            part.pivot(index="seed", columns="path", values=column).to_numpy()
            for part, columns in (
                (rows[known_tested(rows)], ("right", "score")),
                (rows[rows["role"] == TEST_UNKNOWN], ("score",)),
            )
            for column in columns
        ]
        limit = np.quantile(wide[1], 0.95, axis=1, keepdims=True)
        fits.append(Results(wide[0].astype(bool), wide[1], wide[1] > limit, wide[2], wide[2] > limit))
    return fits


def equal(fits: Fits, rng: np.random.Generator) -> Fits:
    return fits


def less_accurate(points: float, *, worst: bool) -> Plant:
    """Correct answers on known images of the worst held-out domain, or of all domains, become wrong."""

    def plant(fits: Fits, rng: np.random.Generator) -> Fits:
        levels = [fit.right.mean() for fit in fits]
        hit = [n == int(np.argmin(levels)) or not worst for n in range(len(fits))]
        kept = [
            rng.random(fit.right.shape) >= points / 100 / level * h
            for fit, level, h in zip(fits, levels, hit, strict=True)
        ]
        return [replace(fit, right=fit.right & keep) for fit, keep in zip(fits, kept, strict=True)]

    return plant


def broken_threshold(fits: Fits, rng: np.random.Generator) -> Fits:
    return [replace(f, rejected=np.zeros_like(f.rejected), found=np.zeros_like(f.found)) for f in fits]


def flattened(fits: Fits, rng: np.random.Generator) -> Fits:
    """Noise of one and a half standard deviations on every score."""
    made = []
    for fit in fits:
        noise = 1.5 * fit.score.std()
        score, unknown = (a + noise * rng.standard_normal(a.shape) for a in (fit.score, fit.unknown))
        limit = np.quantile(score, 0.95, axis=1, keepdims=True)
        made.append(replace(fit, score=score, unknown=unknown, rejected=score > limit, found=unknown > limit))
    return made


def cubes(fits: Fits, weights: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """(T, S, B) of each metric, under weights (I, B) and (U, B) of each domain's known and unknown images."""
    made: dict[str, list[list[np.ndarray]]] = {name: [] for name in ("accuracy", *weighted.DETECTION, DECISION)}
    for fit, (of_known, of_unknown) in zip(fits, weights, strict=True):
        rows: dict[str, list[np.ndarray]] = {name: [] for name in made}
        for n in range(len(fit.right)):
            known, unknown = weighted.make_side(fit.score[n], of_known), weighted.make_side(fit.unknown[n], of_unknown)
            rows["accuracy"].append(weighted.accuracy(fit.right[n], of_known))
            for name, metric in weighted.DETECTION.items():
                rows[name].append(metric(known, unknown))
            rates = weighted.accuracy(~fit.rejected[n], of_known), weighted.accuracy(fit.found[n], of_unknown)
            rows[DECISION].append((rates[0] + rates[1]) / 2)
        for name, of_seeds in rows.items():
            made[name].append(of_seeds)
    return {name: np.array(values) for name, values in made.items()}


def resamples_of(count: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 1 + B) int32: every image once, then how often each resample drew it."""
    draws = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.column_stack([np.ones(count), draws.T]).astype(np.int32)


def outcomes(
    champion: Fits, challenger: Fits, plant: Plant, *, draws: int, resamples: int, seed: int
) -> Iterator[dict[str, bool]]:
    """What the gate and the point rule say of each draw.

    Args:
        champion, challenger: populations.
        plant: the regression.
        draws: how many.
        resamples: of the gate's bootstrap.
        seed: of the draws.
    """
    rng, limits = np.random.default_rng(seed), Promote()
    alpha = spent(limits.alpha, 1)

    def images() -> list[tuple[np.ndarray, np.ndarray]]:
        counts = [(fit.right.shape[1], fit.unknown.shape[1]) for fit in champion]
        return [(rng.integers(known, size=known), rng.integers(unknown, size=unknown)) for known, unknown in counts]

    for _ in range(draws):
        drawn, others = images(), images()
        seeds = [[rng.integers(len(fit.right), size=SEEDS) for fit in side] for side in (champion, challenger)]
        old = [fit.of(s, *at) for fit, s, at in zip(champion, seeds[0], drawn, strict=True)]
        new = plant([fit.of(s, *at) for fit, s, at in zip(challenger, seeds[1], drawn, strict=True)], rng)
        elsewhere = plant([fit.of(s, *at) for fit, s, at in zip(challenger, seeds[1], others, strict=True)], rng)
        weights = [tuple(resamples_of(len(at), resamples, rng) for at in pair) for pair in drawn]
        whole = [(known[:, :1], unknown[:, :1]) for known, unknown in weights]
        first, second, third = cubes(old, weights), cubes(new, weights), cubes(elsewhere, whole)
        groups = sum(len(known) for known, _ in drawn)
        named = {**{name: name for name in first}, WORST: "accuracy"}
        measured = [of_cubes(name, first[key], second[key], groups) for name, key in named.items()]
        found = [item for item in measured if item is not None]
        table, promoted = decide(found, limits, alpha=alpha, superiority=limits.superiority)
        lenient = decide(found, limits, alpha=alpha, superiority="none")[1]
        statuses = {row.status for row in table}
        yield {
            "promoted": promoted,
            "promoted, superiority: none": lenient,
            "worse or not shown": bool(statuses & {WORSE, NOT_SHOWN}),
            "underpowered only": UNDERPOWERED in statuses and not statuses & {WORSE, NOT_SHOWN},
            "point rule, same images": point_rule(first, second),
            "point rule, other images": point_rule(first, third),
        }


def point_rule(champion: dict[str, np.ndarray], challenger: dict[str, np.ndarray]) -> bool:
    """The former rule: no mean of the two has dropped by more than a point."""
    return all(challenger[m][..., 0].mean() >= champion[m][..., 0].mean() - 0.01 for m in ("accuracy", "auroc"))


def family(rows: Fits, *, chains: int, length: int, resamples: int, seed: int) -> tuple[float, float]:
    """Share of chains of equal challengers of which one at least is shown to be more accurate than the one champion.

    All metrics but accuracy on held-out domains are left out, so that a promotion is no more frequent than this.

    Returns:
        With the error rate spent over the gates, and with the whole of it at every gate.
    """
    rng, alpha = np.random.default_rng(seed), Promote().alpha
    hits = np.zeros((chains, 2), dtype=bool)
    for chain in range(chains):
        drawn = [fit.right[:, rng.integers(fit.right.shape[1], size=fit.right.shape[1])] for fit in rows]
        weights = [resamples_of(table.shape[1], resamples, rng) / table.shape[1] for table in drawn]

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
    cases: dict[str, tuple[Fits, Plant]] = {
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
