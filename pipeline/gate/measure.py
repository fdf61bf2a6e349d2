"""Two versions' metrics on the same resamples of the same images, and what they differ by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pipeline.evaluation.bootstrap import cluster_codes, drawn
from pipeline.evaluation.compare import WORST
from pipeline.evaluation.difference import LOWER_IS_BETTER
from pipeline.evaluation.measures import known_tested
from pipeline.evaluation.resampled import INDEX, resampled
from pipeline.gate.statistics import Effect, effect
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_UNKNOWN

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

CHAMPION, CHALLENGER = "champion", "challenger"
ID, DECISION = "accuracy_id", "decision"
METRICS = (ID, "accuracy", WORST, "auroc", "fpr95_id_positive", "fpr95_ood_positive", DECISION)
"""decision: mean of the share of known images that the threshold accepts and of unknown ones that it rejects; of the
former alone where there is no open set. A threshold that accepts everything, or nothing, has 0.5."""

_DETECTION = ("auroc", "fpr95_id_positive", "fpr95_ood_positive")


class Measured(NamedTuple):
    """One metric of two versions, means over held-out domains and seeds, 0 to 1, and their difference."""

    metric: str
    champion: float
    challenger: float
    effect: Effect


def measure(
    scores: pd.DataFrame, domains: Mapping[str, str], *, resamples: int, groups: pd.Series | None = None
) -> list[Measured]:
    """Every one of METRICS that can be measured.

    Args:
        scores: SCORES rows of the methods CHAMPION and CHALLENGER, the same images for both, and `rejected`: whether
            the threshold calls the image unknown. Seeds number the pairs.
        domains: path to domain.
        resamples: of the images.
        groups: path to the name of its group, for images that are drawn together.
    """
    import pandas as pd

    unknown = scores["role"] == TEST_UNKNOWN
    tables = [resampled(scores, ["accuracy", *_DETECTION], resamples=resamples, groups=groups)]
    tables[0] = tables[0][tables[0].index.get_level_values("metric").isin(["accuracy", *_DETECTION])]
    if unknown.any():
        # The AUROC of a score with two values is the mean of the two rates.
        decided, metric = scores.assign(score=scores["rejected"].astype("float64")), "auroc"
    else:
        decided, metric = scores.assign(predicted=scores["label"].where(~scores["rejected"], -2)), "accuracy"
    table = resampled(decided, [metric], resamples=resamples, groups=groups)
    tables.append(table[table.index.get_level_values("metric") == metric].rename({metric: DECISION}, level="metric"))
    tables.append(_source_accuracy(scores, domains, resamples, groups))
    found = pd.concat([table for table in tables if len(table)])
    tested = pd.Index(scores.loc[known_tested(scores), "path"].unique())
    clusters = int(cluster_codes(tested, groups).max(initial=-1)) + 1
    known = set(found.index.unique("metric"))
    many = len(set(scores["target"])) > 1
    wanted = [m for m in METRICS if m in known or (m == WORST and many and "accuracy" in known)]
    return [measured for m in wanted if (measured := measured_of(found, m, clusters)) is not None]


def measured_of(table: pd.DataFrame, metric: str, clusters: int) -> Measured | None:
    """Read a metric off a table as `resampled` returns it; None where nothing was measured."""
    name = "accuracy" if metric == WORST else metric
    return of_cubes(metric, _cube(table, name, CHAMPION), _cube(table, name, CHALLENGER), clusters)


def of_cubes(metric: str, champion: np.ndarray, challenger: np.ndarray, clusters: int) -> Measured | None:
    """The difference of two versions; None where nothing was measured.

    Args:
        metric: one of METRICS; WORST takes the cubes of accuracy.
        champion, challenger: (T, S, 1 + B) by held-out domain and seed: on the images as they are, then on resamples.
        clusters: groups of images that were drawn.
    """
    import numpy as np

    over = np.min if metric == WORST else np.mean
    sides = (champion, challenger)
    levels = [over(cube.mean(axis=1), axis=0) for cube in sides]  # (1 + B,): over seeds, then over targets
    by_seed = [over(cube[:, :, 0], axis=0) for cube in sides]  # (S,)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    if not np.isfinite([levels[0][0], levels[1][0]]).all():
        return None
    gain = effect(sign * (levels[1] - levels[0]), sign * (by_seed[1] - by_seed[0]), clusters)
    return Measured(metric, float(levels[0][0]), float(levels[1][0]), gain)


def _cube(table: pd.DataFrame, metric: str, method: str) -> np.ndarray:
    """(T, S, 1 + B); NaN for a fit that is missing."""
    rows = table.xs((metric, method), level=("metric", "method"))
    targets, seeds = rows.index.unique("target"), rows.index.unique("seed")
    import pandas as pd

    every = pd.MultiIndex.from_product([sorted(targets), sorted(seeds)], names=["target", "seed"])
    cube: np.ndarray = rows.reindex(every).to_numpy().reshape(len(targets), len(seeds), -1)
    return cube


def _source_accuracy(
    scores: pd.DataFrame, domains: Mapping[str, str], resamples: int, groups: pd.Series | None
) -> pd.DataFrame:
    """Accuracy on unseen images of the source domains; one draw serves all held-out domains, which share them."""
    import numpy as np
    import pandas as pd

    rows = scores[(scores["role"] == TEST_ID) & (scores["target"] != IN_DISTRIBUTION)]
    fits = list(rows.groupby(["method", "target", "seed"], sort=False))
    paths = pd.Index(sorted(rows["path"].unique()))
    right, tested = np.zeros((2, len(fits), len(paths)))
    for number, (_, part) in enumerate(fits):
        at = paths.get_indexer(pd.Index(part["path"]))
        tested[number, at] = 1.0
        right[number, at] = (part["predicted"] == part["label"]).to_numpy()
    weights = np.ones((len(paths), 1 + resamples))
    home = np.array([domains.get(path, "") for path in paths], dtype=object)
    for domain in sorted(set(home)):
        at = np.flatnonzero(home == domain)
        codes = cluster_codes(paths[at], groups)
        weights[at, 1:] = next(drawn(codes, resamples, key=(3, *domain.encode()), block=resamples))
    with np.errstate(invalid="ignore"):
        values = (right @ weights) / (tested @ weights) if fits else np.empty((0, 1 + resamples))
    index = pd.MultiIndex.from_tuples([(ID, *key) for key, _ in fits], names=INDEX) if fits else None
    return pd.DataFrame(values, index=index, columns=range(resamples + 1))
