"""Every fit's metrics on the same resamples of the test images; differences and intervals are read off this table.

Images are drawn in strata, each with as many as there are: the known images of a held-out domain, its unknown classes,
and each pool. A pool is drawn once for all held-out domains, since all of their fits see the same images of it. Within
a stratum, images of one group are drawn together. An image that is known under one seed and unknown under another is
in two strata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.bootstrap import block_of, cluster_codes, drawn, key_of
from pipeline.evaluation.measures import known_tested
from pipeline.tables import TEST_UNKNOWN, UNKNOWN_CLASSES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

INDEX = ["metric", "method", "target", "seed"]
KNOWN = ""
"""The stratum of known images; the others are named by their open set."""


def resampled(
    scores: pd.DataFrame, metrics: Sequence[str], *, resamples: int, groups: pd.Series | None = None
) -> pd.DataFrame:
    """Metrics of every fit, as tested and on each resample.

    Args:
        scores: SCORES table.
        metrics: accuracy, or keys of `pipeline.evaluation.weighted.DETECTION`: the mean over the open sets, and each of
            them under the name `of_open_set` gives.
        resamples: of the test images; all methods and seeds see the same ones.
        groups: path to the name of its group, for images that are no independent draws (near-duplicates, one patient's
            images); images that it lacks are drawn alone. None: all are.
    Returns:
        Rows by INDEX, without those where there is nothing to measure; column 0: on the images as they are, columns 1
        to `resamples`: on the resamples. NaN where a resample draws no image that a seed tested.
    """
    import numpy as np
    import pandas as pd

    scores = scores if set(metrics) - {"accuracy"} else scores[scores["role"] != TEST_UNKNOWN]
    pooled = scores[(scores["role"] == TEST_UNKNOWN) & (scores["open_set"] != UNKNOWN_CLASSES)]
    pools = {str(name): _stratum(rows, groups, key_of(2, str(name))) for name, rows in pooled.groupby("open_set")}
    parts: dict[tuple[Any, ...], list[np.ndarray]] = {}
    for target, part in scores[known_tested(scores) | (scores["role"] == TEST_UNKNOWN)].groupby("target", sort=False):
        known, unknown = part[part["role"] != TEST_UNKNOWN], part[part["role"] == TEST_UNKNOWN]
        own = unknown[unknown["open_set"] == UNKNOWN_CLASSES]
        strata = {KNOWN: _stratum(known, groups, key_of(0, str(target)))}
        strata |= {UNKNOWN_CLASSES: _stratum(own, groups, key_of(1, str(target)))} if len(own) else {}
        strata |= {name: pools[name] for name in pools if (unknown["open_set"] == name).any()}
        fits = {fit: _Fit.of(rows, strata) for fit, rows in part.groupby(["method", "seed"]) if len(known)}
        for weights in _blocks(strata, resamples):
            for (method, seed), fit in fits.items():
                for metric, values in fit.measure(metrics, weights).items():
                    parts.setdefault((metric, method, target, seed), []).append(values)
    index = pd.MultiIndex.from_frame(pd.DataFrame(list(parts), columns=INDEX))
    rows = [np.concatenate(values) for values in parts.values()]
    return pd.DataFrame(rows, index=index, columns=range(resamples + 1), dtype="float64")


def of_open_set(metric: str, open_set: str) -> str:
    """What a detection metric of one open set is called."""
    return f"{metric}/{open_set}"


@dataclass(frozen=True)
class _Stratum:
    """Images that are drawn from each other: paths (unique), the group of each, and the seed of the draws."""

    paths: pd.Index
    codes: np.ndarray
    key: tuple[int, ...]


def _stratum(rows: pd.DataFrame, groups: pd.Series | None, key: tuple[int, ...]) -> _Stratum:
    import pandas as pd

    paths = pd.Index(sorted(rows["path"].unique()))
    return _Stratum(paths, cluster_codes(paths, groups), key)


def _blocks(strata: Mapping[str, _Stratum], resamples: int) -> Iterator[dict[str, np.ndarray]]:
    """Weights (I, b) by stratum: of the images as they are, then of blocks of resamples."""
    import numpy as np

    yield {name: np.ones((len(stratum.paths), 1), dtype="int32") for name, stratum in strata.items()}
    block = block_of(sum(len(stratum.paths) for stratum in strata.values()))
    draws = [drawn(stratum.codes, resamples, key=stratum.key, block=block) for stratum in strata.values()]
    for weights in zip(*draws, strict=True):
        yield dict(zip(strata, weights, strict=True))


@dataclass(frozen=True)
class _Fit:
    """What one fit did.

    Attributes:
        correct: of each known image.
        images: by stratum: where the fit's images are in it, and their scores, which rise: sorting them again for each
            block of resamples is then quick.
    """

    correct: np.ndarray
    images: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, rows: pd.DataFrame, strata: Mapping[str, _Stratum]) -> _Fit:
        import pandas as pd

        rows = rows.sort_values("score", kind="stable")
        known, unknown = rows[rows["role"] != TEST_UNKNOWN], rows[rows["role"] == TEST_UNKNOWN]
        parts = {name: known if name == KNOWN else unknown[unknown["open_set"] == name] for name in strata}
        images = {
            name: (strata[name].paths.get_indexer(pd.Index(part["path"])), part["score"].to_numpy(dtype="float64"))
            for name, part in parts.items()
            if len(part)
        }
        return cls((known["predicted"] == known["label"]).to_numpy(), images)

    def measure(self, metrics: Sequence[str], weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """(b,) of each metric that can be measured."""
        import numpy as np

        from pipeline.evaluation import weighted

        if KNOWN not in self.images:
            return {}
        at, scores = self.images[KNOWN]
        values = {"accuracy": weighted.accuracy(self.correct, weights[KNOWN][at])} if "accuracy" in metrics else {}
        asked = {name: weighted.DETECTION[name] for name in metrics if name != "accuracy"}
        open_sets = [name for name in self.images if name != KNOWN]
        if asked and open_sets:
            known = weighted.make_side(scores, weights[KNOWN][at])
            by_set = []
            for name in open_sets:
                at, scores = self.images[name]
                unknown = weighted.make_side(scores, weights[name][at])
                by_set.append([metric(known, unknown) for metric in asked.values()])
            values |= dict(zip(asked, np.mean(by_set, axis=0), strict=True))
            for name, of_set in zip(open_sets, by_set, strict=True):
                values |= {of_open_set(metric, name): found for metric, found in zip(asked, of_set, strict=True)}
        return values
