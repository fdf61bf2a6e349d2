"""The gate between the manifest and everything after it: a Great Expectations suite, its verdict and its Data Docs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.classes import in_domains, in_pools, overlapping_pools, without
from pipeline.data.duplicates import duplicate_columns
from pipeline.data.groups import group_counts
from pipeline.data.naming import class_table, pool_table
from pipeline.data.quality_docs import write_docs
from pipeline.data.quality_suite import EXAMPLES, run_suites
from pipeline.data.refused import empty_folders
from pipeline.data.rules import Rule, all_faults, rules, severity
from pipeline.phrases import counted, shorten

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.params import Data, Split

_NEEDED = ("path", "class", "sha256", "phash", "mode", "format")
_NAMED = 5  # faults of one check that a line names; faults.csv lists all


def check_manifest(
    manifest: pd.DataFrame,
    refused: pd.DataFrame,
    data: Data,
    split: Split,
    *,
    class_names: Mapping[str, str],
    tokens: Mapping[str, tuple[int, int]],
    context: int,
    docs: Path,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Judge a manifest and write Data Docs that open without a network.

    Args:
        manifest: MANIFEST table.
        refused: REFUSED table: files that are not in the manifest.
        data: section `data` of params: the limits, and the ids of checks that stop a run (`fatal`); the others warn.
            With `open_set_overlap: remove`, classes of pools that mean a known class are left out and are no faults.
        split: section `split`: every known class needs `validation` images, and `shots` if these are of every domain,
            in every domain that may train.
        class_names: class folder to the name in prompts, where they differ.
        tokens: known class to (tokens of its longest prompt, most tokens of one word of its name).
        context: tokens that the text tower accepts.
        docs: folder to write, replaced if it exists; start at its index.html.
    Returns:
        The verdict: success; images, refused, domains, known_classes, unknown_classes, pool_classes (counts);
        fatal_faults and other_faults (rows that fail, over checks); checks, each with check, says, unit, severity,
        success, count and examples (the first 20, in words); problems and warnings, one line each; notes. And all
        faults: columns check, severity, name, fault.
    """
    known, fatal, remove = list(tokens), data.fatal, data.open_set_overlap == "remove"
    overlapping = overlapping_pools(manifest, known, data.synonyms, class_names)
    removed = overlapping if remove else overlapping[:0]
    images, complete = _images(manifest, removed, data.near_duplicate_distance)
    required = split.validation + (split.shots if split.shots_per == "class_and_domain" else 0)
    tables = {
        "images": images,
        "refused": refused,
        "folders": _folders(manifest, refused),
        "groups": group_counts(manifest, known, required, split.sources),
        "classes": class_table(manifest, class_names=class_names, tokens=tokens, synonyms=data.synonyms),
        "pools": pool_table(manifest, overlapping, remove=remove),
    }
    checks = rules(min_side=data.min_side, context=context)
    worded = {rule.check: rule.worded(tables[rule.table]) for rule in checks}
    with tempfile.TemporaryDirectory(prefix="gx-") as folder:
        counts = run_suites(checks, tables, worded, fatal, Path(folder))
        results = [_result(rule, tables[rule.table], counts[rule.check], fatal) for rule in checks]
        failed = [(rule, result) for rule, result in zip(checks, results, strict=True) if not result["success"]]
        verdict: dict[str, Any] = {
            "success": not any(result["severity"] == "fatal" for _, result in failed),
            "images": len(manifest),
            "refused": len(refused),
            "domains": int(in_domains(manifest)["domain"].nunique()),
            "known_classes": len(known),
            "unknown_classes": len(tables["classes"]) - len(known),
            "pool_classes": len(in_pools(manifest)[["pool", "class"]].drop_duplicates()),
            "fatal_faults": sum(result["count"] for result in results if result["severity"] == "fatal"),
            "other_faults": sum(result["count"] for result in results if result["severity"] != "fatal"),
            "checks": results,
            "problems": [_line(rule, tables, result) for rule, result in failed if result["severity"] == "fatal"],
            "warnings": [_line(rule, tables, result) for rule, result in failed if result["severity"] != "fatal"],
            "notes": _notes(removed, complete),
        }
        write_docs(Path(folder) / "docs", docs, verdict, EXAMPLES)
    return verdict, all_faults(checks, tables, worded, fatal)


def _images(manifest: pd.DataFrame, removed: pd.DataFrame, distance: int) -> tuple[pd.DataFrame, bool]:
    import numpy as np

    absent = manifest[list(_NEEDED)].isna()
    bad = absent.any(axis=1).to_numpy()
    missing = np.full(len(manifest), None, dtype=object)
    missing[bad] = [", ".join(absent.columns[row]) for row in absent[bad].to_numpy()]
    frame = manifest[["path", "format", "mode"]].copy()
    frame["path"] = frame["path"].fillna("a row without a path")
    frame["missing"] = missing
    frame["shorter_side"] = manifest[["width", "height"]].min(axis=1)
    frame["defect"] = manifest["defect"].astype(object).where(manifest["defect"] != "", None)
    whole = manifest[~bad]
    unused = ~whole.index.isin(without(whole, removed).index)
    columns, complete = duplicate_columns(whole, distance=distance, unused=unused)
    return frame.join(columns), complete


def _folders(manifest: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    pairs = refused[["path", "problem"]].itertuples(index=False, name=None)
    return pd.DataFrame(empty_folders(manifest, pairs), columns=["folder", "files", "first", "problem"], dtype=object)


def _result(rule: Rule, frame: pd.DataFrame, count: int, fatal: Sequence[str]) -> dict[str, Any]:
    examples, _ = rule.lines(frame[rule.faults(frame)], EXAMPLES) if count else ([], 0)
    return {
        "check": rule.check,
        "says": rule.says,
        "unit": rule.unit,
        "severity": severity(rule, fatal),
        "success": count == 0,
        "count": count,
        "examples": examples,
    }


def _line(rule: Rule, tables: Mapping[str, pd.DataFrame], result: Mapping[str, Any]) -> str:
    frame = tables[rule.table]
    named, covered = rule.lines(frame[rule.faults(frame)], _NAMED)
    examples = shorten(named, _NAMED, total=len(named) + result["count"] - covered)
    return f"{rule.check}: {counted(result['count'], rule.unit)}, {rule.says}: {examples}"


def _notes(removed: pd.DataFrame, complete: bool) -> list[str]:
    notes = []
    if len(removed):
        named = [f"{pool}/{name} (means {means})" for pool, name, means in removed.itertuples(index=False)]
        notes.append(
            f"{counted(len(named), 'pool class')} left out, same meaning as a known class: {shorten(named, EXAMPLES)}"
        )
    if not complete:
        notes.append("too many images look alike to compare all of them; some near-duplicates may be missing")
    return notes
