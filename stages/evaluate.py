"""Stage `evaluate`: every fit meets the domain that it has not seen; metrics with spread, curves, and the report."""

from __future__ import annotations

from pathlib import Path

from pipeline.features import read_features
from pipeline.fits import read_fits
from pipeline.hashing import lineage
from pipeline.params import Params
from pipeline.tables import MANIFEST, SCORES, SPLITS, read_table, write_csv, write_json, write_table, write_text
from stages import _paths as paths
from stages._run import Record, stage


@stage("evaluate", sections=("data", "evaluate", "export"))
def main(params: Params) -> Record:
    from pipeline.evaluation.evaluate import evaluate

    inputs = lineage(
        {"manifest": paths.MANIFEST, "splits": paths.SPLITS, "features": paths.FEATURES, "fits": paths.FITS}
    )
    result = evaluate(
        read_features(paths.FEATURES),
        read_fits(paths.FITS),
        read_table(paths.SPLITS, SPLITS),
        read_table(paths.MANIFEST, MANIFEST),
        root=Path(params.data.root),
        max_pixels=params.data.max_pixels,
        deployed=params.export.method,
        bootstrap=params.evaluate.bootstrap,
        bins=params.evaluate.bins,
        hessian_probes=params.evaluate.hessian_probes,
        lineage=inputs,
    )
    write_table(result.scores, paths.SCORES, SCORES)
    write_json(result.metrics, paths.METRICS)
    write_text(result.report, paths.REPORT)
    for name, curve in result.curves.items():
        write_csv(curve, paths.PLOTS / f"{name}.csv")
    return Record(
        metrics=result.flat_metrics(),
        artifacts=[paths.METRICS, paths.REPORT],
        datasets=[(name, digest, f"artifacts/{name}") for name, digest in inputs.items()],
    )


if __name__ == "__main__":
    main()
