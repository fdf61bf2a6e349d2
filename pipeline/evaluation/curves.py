"""Tidy tables that `dvc plots`, the figures of the report and people's own tools show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.detection.metrics import roc_curve
from pipeline.errors import DataError
from pipeline.evaluation.measures import known_tested, open_sets
from pipeline.evaluation.results import Metrics
from pipeline.tables import DEPLOY, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def roc_points(scores: pd.DataFrame, *, points: int = 61) -> pd.DataFrame:
    """ROC of each open set against known classes of the held-out domain, averaged over a method's fits.

    The curves are averaged vertically: scores of different fits are not on one scale, so pooling them would measure
    that too. The area under the average is the mean AUROC, up to the grid.

    Args:
        scores: SCORES table.
        points: of the grid, which is denser towards 0, where curves are steep.
    Returns:
        method; open_set; known_rejected: share of known images rejected, the grid from 0 to 1; unknown_rejected: share
        of the open set's images rejected by then, mean over targets and seeds. `points` rows a method and open set.
    """
    import numpy as np
    import pandas as pd

    grid = np.linspace(0.0, 1.0, points) ** 2
    parts = []
    sets = open_sets(scores)
    for method, of_method in scores.groupby("method", sort=False):
        fits = [fit for _, fit in of_method.groupby(["target", "seed"], sort=False)]
        for open_set in sets:
            curves = []
            for fit in fits:
                known = fit.loc[known_tested(fit), "score"].to_numpy()
                unknown = fit.loc[(fit["role"] == TEST_UNKNOWN) & (fit["open_set"] == open_set), "score"].to_numpy()
                if known.size and unknown.size:
                    known_share, unknown_share, _ = roc_curve(known, unknown)
                    curves.append(_height(grid, known_share, unknown_share))
            if curves:
                columns = {"known_rejected": grid, "unknown_rejected": np.mean(curves, axis=0)}
                parts.append(pd.DataFrame({"method": method, "open_set": open_set, **columns}))
    return _joined(parts, ["method", "open_set", "known_rejected", "unknown_rejected"])


def score_histogram(scores: pd.DataFrame, bins: int) -> pd.DataFrame:
    """Distribution of the open-set score by method and kind of test image, over all fits of the method.

    Args:
        scores: SCORES table.
        bins: number of equal bins between the smallest and the largest score of a method.
    Returns:
        method; images: test_id, test_shifted or the open set's name; low, high: the bin's edges; score: its centre;
        share: of these images' scores, summing to 1.
    """
    import numpy as np
    import pandas as pd

    parts = []
    sets = open_sets(scores)
    for method, of_method in scores[scores["role"] != TEST_UNKNOWN_ID].groupby("method", sort=False):
        edges = np.histogram_bin_edges(of_method["score"].to_numpy(dtype="float64"), bins)
        unknown = of_method["role"] == TEST_UNKNOWN
        kinds = {role: of_method["role"] == role for role in (TEST_ID, TEST_SHIFTED)}
        kinds |= {name: unknown & (of_method["open_set"] == name) for name in sets}
        for kind, chosen in kinds.items():
            values = of_method.loc[chosen, "score"].to_numpy(dtype="float64")
            if values.size:
                share = np.histogram(values, edges)[0] / values.size
                centre = (edges[1:] + edges[:-1]) / 2
                columns = {"low": edges[:-1], "high": edges[1:], "score": centre, "share": share}
                parts.append(pd.DataFrame({"method": method, "images": kind, **columns}))
    return _joined(parts, ["method", "images", "low", "high", "score", "share"])


def history_points(history: pd.DataFrame, *, points: int = 60) -> pd.DataFrame:
    """Training history, averaged over a method's fits that hold out a domain.

    Args:
        history: HISTORY table.
        points: epochs kept at most, evenly spread, the last one among them.
    Returns:
        method; epoch; loss and cross_entropy (nats); validation_accuracy (0 to 1, source domains).
    """
    import numpy as np

    columns = ["loss", "cross_entropy", "validation_accuracy"]
    rows = history[history["target"] != DEPLOY]
    epochs = np.sort(rows["epoch"].unique())
    kept = epochs[np.unique(np.linspace(len(epochs) - 1, 0, min(points, len(epochs))).round().astype(int))]
    rows = rows[rows["epoch"].isin(kept)].replace([np.inf, -np.inf], np.nan)
    return rows.groupby(["method", "epoch"], sort=False)[columns].mean().dropna(how="all").reset_index()


def accuracy_points(metrics: Metrics) -> pd.DataFrame:
    """Accuracy on each held-out domain.

    Args:
        metrics: content of metrics.json.
    Returns:
        method; target; accuracy, 0 to 1; accuracy_spread: standard deviation over seeds; accuracy_low, accuracy_high:
        95 % bootstrap interval over images. The mean over domains, last of a method, has the target "mean".
    """
    import pandas as pd

    names = ["accuracy", "accuracy_spread", "accuracy_low", "accuracy_high"]
    rows = [
        (method, target, *(numbers.get(name) for name in names))
        for method, targets in metrics.items()
        for target, numbers in targets.items()
    ]
    return pd.DataFrame(rows, columns=["method", "target", *names]).astype(dict.fromkeys(names, "float64"))


def class_points(scores: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on each known class.

    Args:
        scores: SCORES table.
        manifest: path and class of every image.
    Returns:
        method; class, sorted by name; n: different images tested, those that `accuracy` is about; accuracy: share of
        their predictions that are right, all held-out domains and seeds together.
    Raises:
        DataError: an image of the scores is not in the manifest.
    """
    import pandas as pd

    known = scores[known_tested(scores)]
    places = pd.Index(manifest["path"]).get_indexer(known["path"])
    if (places < 0).any():
        raise DataError(f"manifest: no row for {known['path'][places < 0].iloc[0]}; run `dvc repro ingest`")
    names = manifest["class"].to_numpy()[places]
    correct = known["predicted"] == known["label"]
    table = pd.DataFrame({"method": known["method"], "class": names, "path": known["path"], "correct": correct})
    return (
        table.groupby(["method", "class"], sort=True)
        .agg(n=("path", "nunique"), accuracy=("correct", "mean"))
        .loc[list(known["method"].unique())]
        .reset_index()
    )


def _height(grid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of a curve over the grid; where it rises vertically, the top (which `np.interp` does not promise)."""
    import numpy as np

    left = np.searchsorted(x, grid, side="right") - 1
    right = np.minimum(left + 1, len(x) - 1)
    run = x[right] - x[left]
    share = np.divide(grid - x[left], run, out=np.zeros_like(grid), where=run > 0)
    return np.asarray(y[left] + share * (y[right] - y[left]))


def _joined(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
