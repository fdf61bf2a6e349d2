"""Stage `evaluate`: validation chooses method and score; every fit is tested on the domain that it has not seen."""

from __future__ import annotations

from pathlib import Path

from pipeline.features import read_features
from pipeline.fits import read_fits
from pipeline.hashing import lineage
from pipeline.params import Params
from pipeline.tables import (
    DETECTION,
    MANIFEST,
    SCORES,
    SPLITS,
    read_table,
    write_csv,
    write_json,
    write_table,
    write_text,
)
from stages import _paths as paths
from stages._run import Record, stage


@stage("evaluate", sections=("data", "choose", "evaluate", "export"))
def main(params: Params) -> Record:
    from pipeline.evaluation.evaluate import evaluate
    from pipeline.evaluation.results import flat
    from pipeline.report.gallery import build_gallery
    from pipeline.report.page import render_report

    files = {"manifest": paths.MANIFEST, "splits": paths.SPLITS, "features": paths.FEATURES, "fits": paths.FITS}
    files["left_out"] = paths.LEFT_OUT
    inputs = lineage(files)
    features, fits = read_features(paths.FEATURES), read_fits(paths.FITS)
    splits, manifest = read_table(paths.SPLITS, SPLITS), read_table(paths.MANIFEST, MANIFEST)
    left_out = read_fits(paths.LEFT_OUT), read_table(paths.LEFT_OUT / "splits.parquet", SPLITS)
    result = evaluate(
        features, fits, splits, manifest, params.evaluate, left_out=left_out, export=params.export,
        rule=params.choose.rule, near_duplicate_distance=params.data.near_duplicate_distance,
    )  # fmt: skip
    gallery = build_gallery(manifest, result.scores, splits, params.data, method=result.deployed, limits=result.limits)
    report = render_report(
        result, gallery, title=Path(params.data.root).name,
        lineage={"weights": features.meta["weights_sha256"], **inputs},
        links={"Data Docs: what the data gate checked": "../validation/docs/index.html"},
    )  # fmt: skip
    write_table(result.scores, paths.SCORES, SCORES)
    write_table(result.detection, paths.DETECTION, DETECTION)
    write_csv(result.choice.ranking, paths.RANKING)
    write_json(result.choice.to_json(), paths.CHOICE)
    write_json(result.protocols, paths.PROTOCOLS)
    write_json(result.metrics, paths.METRICS)
    write_text(report, paths.REPORT)
    for name, curve in result.curves.items():
        write_csv(curve, paths.PLOTS / f"{name}.csv")
    return Record(
        metrics=flat(result.metrics),
        tags={"chosen.method": result.choice.method, "chosen.score": result.choice.score},
        artifacts=[paths.METRICS, paths.PROTOCOLS, paths.CHOICE, paths.RANKING, paths.REPORT],
        datasets=[(name, digest, f"artifacts/{name}") for name, digest in inputs.items()],
    )


if __name__ == "__main__":
    main()
