"""The gate between the manifest and everything after it: a Great Expectations suite, its verdict and its Data Docs."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.data.classes import in_domains
from pipeline.data.groups import group_counts
from pipeline.data.quality_docs import write_docs
from pipeline.images import FORMATS

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 20
MAX_IMBALANCE = 100.0
"""Largest over smallest known class of one domain; beyond it a folder is more likely misplaced than rare (VLCS: 56)."""

_DUPLICATES, _SIDE, _FORMAT, _ENOUGH, _BALANCE = (
    "no exact duplicates",
    "large enough",
    "known format",
    "enough images per class and domain",
    "class balance",
)


def check_manifest(
    manifest: pd.DataFrame, *, known: list[str], required: int, min_side: int, docs: Path
) -> dict[str, Any]:
    """Judge a manifest and write Data Docs that open without a network.

    Args:
        manifest: MANIFEST table.
        known: known classes.
        required: images that every known class needs in every domain (shots + validation).
        min_side: pixels.
        docs: folder to write, replaced if it exists; start at its index.html.
    Returns:
        success; images, domains, known_classes, unknown_classes (counts); checks, each with name, success,
        unexpected_count and the first 20 examples (paths, or domain/class); problems, one line each.
    """
    with tempfile.TemporaryDirectory(prefix="gx-") as folder:
        results = _run(
            {
                "images": (_images(manifest), "path", _image_expectations(min_side)),
                "groups": (group_counts(manifest, known, required), "group", _group_expectations()),
            },
            Path(folder),
        )
        checks = [
            check
            for name, result in results.items()
            for check in _checks(result, {"images": "path"}.get(name, "group"))
        ]
        verdict: dict[str, Any] = {
            "success": all(check["success"] for check in checks),
            "images": len(manifest),
            "domains": int(in_domains(manifest)["domain"].nunique()),
            "known_classes": len(known),
            "unknown_classes": int(in_domains(manifest)["class"].nunique()) - len(known),
            "checks": checks,
            "problems": _problems(checks, manifest, known, required, min_side),
        }
        write_docs(Path(folder) / "docs", docs, verdict)
    return verdict


def _images(manifest: pd.DataFrame) -> pd.DataFrame:
    frame = manifest[["path", "domain", "class", "sha256", "format", "bytes"]].copy()
    frame["shorter_side"] = manifest[["width", "height"]].min(axis=1)
    return frame


def _gx() -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read on import
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports deprecated modules of the standard library
        import great_expectations

    return great_expectations


def _image_expectations(min_side: int) -> list[Any]:
    e = _gx().expectations
    present = [
        e.ExpectColumnValuesToNotBeNull(column=column, meta={"check": f"{column} present"})
        for column in ("path", "domain", "class", "sha256")
    ]
    return [
        *present,
        e.ExpectColumnValuesToBeUnique(column="path", meta={"check": "each path once"}),
        e.ExpectColumnValuesToBeUnique(column="sha256", meta={"check": _DUPLICATES}),
        e.ExpectColumnValuesToBeBetween(column="shorter_side", min_value=min_side, meta={"check": _SIDE}),
        e.ExpectColumnValuesToBeInSet(column="format", value_set=list(FORMATS), meta={"check": _FORMAT}),
        e.ExpectColumnValuesToBeBetween(column="bytes", min_value=1, meta={"check": "not empty"}),
    ]


def _group_expectations() -> list[Any]:
    e = _gx().expectations
    return [
        e.ExpectColumnValuesToBeBetween(column="missing", max_value=0, meta={"check": _ENOUGH}),
        e.ExpectColumnValuesToBeBetween(column="imbalance", max_value=MAX_IMBALANCE, meta={"check": _BALANCE}),
    ]


def _run(suites: dict[str, tuple[pd.DataFrame, str, list[Any]]], folder: Path) -> dict[str, Any]:
    """Validate each (frame, column that names a row, expectations) in one context; docs go to `folder/docs`."""
    gx = _gx()
    context = gx.get_context(mode="file", project_root_dir=str(folder))
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder / "docs")},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    context.update_data_docs_site("local_site", site)
    source = context.data_sources.add_pandas("manifest")
    results: dict[str, Any] = {}
    for name, (frame, index, expectations) in suites.items():
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
        checkpoint = context.checkpoints.add(
            gx.Checkpoint(
                name=name,
                validation_definitions=[definition],
                result_format={
                    "result_format": "SUMMARY",  # COMPLETE would hold every bad row of a large manifest in memory
                    "partial_unexpected_count": EXAMPLES,
                    "unexpected_index_column_names": [index],
                },
            )
        )
        (results[name],) = checkpoint.run(batch_parameters={"dataframe": frame}).run_results.values()
    context.build_data_docs()
    return results


def _checks(result: Any, index: str) -> list[dict[str, Any]]:
    checks = []
    for item in result.results:
        found = item.result
        checks.append(
            {
                "name": item.expectation_config.meta["check"],
                "success": bool(item.success),
                "unexpected_count": int(found.get("unexpected_count", 0)),
                "examples": [row[index] for row in found.get("partial_unexpected_index_list") or []][:EXAMPLES],
            }
        )
    return checks


def _problems(
    checks: list[dict[str, Any]], manifest: pd.DataFrame, known: list[str], required: int, min_side: int
) -> list[str]:
    problems = []
    groups = group_counts(manifest, known, required)
    counts = {
        name: f"{have} of {need}"
        for name, have, need in zip(groups["group"], groups["images"], groups["required"], strict=True)
    }
    for check in (check for check in checks if not check["success"]):
        name, count, examples = check["name"], check["unexpected_count"], check["examples"]
        if name == _DUPLICATES:
            twice = manifest.loc[manifest.duplicated("sha256", keep=False)].sort_values(["sha256", "path"])
            sets = [" = ".join(paths) for paths in twice.groupby("sha256", sort=False)["path"].agg(list)]
            check["examples"] = twice["path"].head(EXAMPLES).tolist()
            problems.append(f"exact duplicates, keep one of each: {_some(sets, len(sets))}")
        elif name == _ENOUGH:
            lacking = [f"{group} has {counts[group]}" for group in examples]
            problems.append(f"too few images (shots + validation, or 1 of an unknown class): {_some(lacking, count)}")
        elif name == _SIDE:
            problems.append(f"shorter side below data.min_side ({min_side} pixels): {_some(examples, count)}")
        elif name == _FORMAT:
            problems.append(f"format is none of {', '.join(FORMATS)}: {_some(examples, count)}")
        elif name == _BALANCE:
            problems.append(
                f"more than {MAX_IMBALANCE:.0f} times smaller than the domain's largest class: {_some(examples, count)}"
            )
        else:
            problems.append(f"{name} does not hold: {_some(examples, count)}")
    return problems


def _some(examples: list[str], count: int) -> str:
    shown = examples[:5]
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    return ", ".join(shown) + more
