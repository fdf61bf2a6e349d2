"""The whole of `croft compare`: two references in, one comparison out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.comparison.changes import Changes, changes
from pipeline.comparison.evaluated import Evaluated, read_evaluated
from pipeline.comparison.inputs import describe_input
from pipeline.comparison.paired import Coverage, Row, compare_scores
from pipeline.comparison.reference import Reference
from pipeline.comparison.resolve import resolve
from pipeline.dvc_runner.cache import open_cache
from pipeline.evaluation.clusters import alike_groups


@dataclass(frozen=True)
class Comparison:
    """Two evaluations side by side.

    Attributes:
        a, b: what they are.
        rows: their metrics and the differences.
        coverage: the images that these are about.
        changes: what the two were made with and does not agree.
        inputs: the same of data and weights, by path, in words.
        resamples: behind the intervals.
    """

    a: Evaluated
    b: Evaluated
    rows: list[Row]
    coverage: Coverage
    changes: Changes
    inputs: Mapping[str, str]
    resamples: int


def run_comparison(
    root: Path, a: Reference, b: Reference, *, method: str = "", resamples: int, distance: int
) -> Comparison:
    """Compare two evaluations on the images that both tested; nothing in the workspace changes.

    Args:
        root: the project.
        a, b: the two.
        method: of both; by default the one that each deployed.
        resamples: of the images.
        distance: bits by which near-duplicates, which are drawn together, differ at most.
    Raises:
        CroftError: one of the two cannot be found, or is not in DVC's cache; or they have no image in common.
    """
    import pandas as pd

    cache = open_cache(root)
    first, second = (read_evaluated(resolve(root, cache, reference), cache, method) for reference in (a, b))
    both = first.images.merge(second.images, on="path", suffixes=("", "_b"))
    other_bytes = set(both.loc[both["sha256"] != both["sha256_b"], "path"])
    images = pd.concat([first.images, second.images])
    # an image that has a group in one of the two has it here
    images = images.sort_values("group", ascending=False, kind="stable").drop_duplicates("path", ignore_index=True)
    rows, coverage = compare_scores(
        first.scores,
        second.scores,
        resamples=resamples,
        groups=alike_groups(images, distance),
        other_bytes=other_bytes,
    )
    differ = changes(first.side.lock, second.side.lock)
    inputs = {path: describe_input(root, cache, path, pair) for path, pair in differ.inputs.items()}
    return Comparison(first, second, rows, coverage, differ, inputs, resamples)
