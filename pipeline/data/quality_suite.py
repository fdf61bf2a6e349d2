"""Great Expectations: tables and rules in, results and a raw site of Data Docs out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.data.rules import Rule

EXAMPLES = 20


def run_suites(
    checks: Sequence[Rule],
    tables: Mapping[str, pd.DataFrame],
    worded: Mapping[str, pd.Series],
    fatal: Sequence[str],
    folder: Path,
) -> dict[str, int]:
    """Validate each table with its rules.

    Args:
        checks: rules; each names one of `tables`.
        tables: frames by name; one suite each.
        worded: check id to its faults in words; they are the values of a column that should be empty.
        fatal: ids of checks that stop a run.
        folder: empty; the site goes to `folder/docs`.
    Returns:
        Check id to the number of rows that fail.
    """
    import pandas as pd

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
    counts: dict[str, int] = {}
    for name in dict.fromkeys(rule.table for rule in checks):
        table_rules = [rule for rule in checks if rule.table == name]
        expectations = [rule.expectation(gx.expectations, fatal=rule.check in fatal) for rule in table_rules]
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
                    # no names of rows: at half a millisecond each they would take minutes; the rules name them
                },
            )
        )
        frame = pd.DataFrame(
            {
                rule.check: worded[rule.check].reindex(tables[name].index)
                if rule.forbids
                else tables[name][rule.column]
                for rule in table_rules
            }
        )
        (result,) = checkpoint.run(batch_parameters={"dataframe": frame}).run_results.values()
        for item in result.results:
            count = int(item.result.get("unexpected_count", 0))
            if item.exception_info.get("raised_exception") or bool(item.success) != (count == 0):
                raise RuntimeError(f"{item.expectation_config.meta['check']}: {item.exception_info}")
            counts[item.expectation_config.meta["check"]] = count
    context.build_data_docs()
    return counts


def _gx() -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read on import
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # importing it loads deprecated modules of the standard library
        import great_expectations

    return great_expectations
