"""Stage `sweep`: a grid of settings, all held-out domains and seeds in one batched pass; validation images choose.

python -m stages.sweep [PARAMS]        # a params file; params.yaml by default
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.hashing import lineage
from pipeline.params import Params
from pipeline.params.choice import AUTO
from pipeline.splits import domain_of
from pipeline.tables import MANIFEST, SPLITS, read_table, write_json, write_table, write_text
from stages import _paths as paths
from stages._run import Record, stage

FOLDER = paths.ARTIFACTS / "sweep"


@stage("sweep", sections=("compute", "data", "backbone", "featurize", "finetune", "sweep", "choose", "export"))
def main(params: Params) -> Record:
    from pipeline.backbone.fresh import view_source
    from pipeline.backbone.load import backbone_of
    from pipeline.detection.scores.spaces import option_of, options
    from pipeline.evaluation.choice import choose, validation_accuracies
    from pipeline.evaluation.left_out import left_out_numbers
    from pipeline.evaluation.sweep import MEASURES, held_out, left_out, means_by_configuration, sweep_metrics
    from pipeline.methods.settings import method_options
    from pipeline.progress import Progress
    from pipeline.report.sweep import sweep_report
    from pipeline.tracking.runs import record_children
    from pipeline.training.assemble import collect
    from pipeline.training.engine import fit
    from pipeline.training.left_out import in_batches, left_out_splits
    from pipeline.training.runs import Inputs, count_epochs
    from pipeline.training.sweep import SWEEP, check_converged, grid, plan_folds, plan_sweep, validation

    features, splits = read_features(paths.FEATURES), read_table(paths.SPLITS, SPLITS)
    device = resolve_device(params.compute.device)
    manifest = read_table(paths.MANIFEST, MANIFEST)
    backbone = backbone_of(
        features.meta, model=params.backbone.model, weights=Path(params.backbone.weights), device=device
    )
    views = view_source(
        features, manifest, root=Path(params.data.root), backbone=backbone,
        batch_size=params.featurize.batch_size, workers=params.featurize.workers,
    )  # fmt: skip
    points, base = grid(params.sweep.axes), method_options(params.finetune, params.sweep.method).model_dump()
    folds = left_out_splits(splits, domain_of(manifest), params.choose.folds, params.choose.seeds)
    whole = plan_sweep(points, base, splits, features)
    runs = [*whole, *in_batches(plan_folds(points, base, folds, features))]
    inputs = Inputs.of(features, views, lambda: backbone().prompt_tower())
    with Progress(f"training {len(points)} configurations", count_epochs(runs), "epochs") as progress:
        trained = fit(runs, inputs, device=device, on_epoch=lambda done, _: progress.advance(done - progress.done))
    fits = collect(trained[: len(whole)])
    check_converged(fits)
    numbers = left_out_numbers(
        collect(trained[len(whole) :]), folds, features, list(options(words=features.words is not None))
    )
    choice = choose(
        validation_accuracies(fits.table), numbers, method=AUTO, score=params.export.score, rule=params.choose.rule
    )
    rows = left_out(validation(points, fits), choice)
    table = held_out(rows, features, fits, splits, option_of(choice.score))
    metrics = sweep_metrics(table, choice)
    hashes = lineage({"splits": paths.SPLITS, "features": paths.FEATURES})
    write_table(table, FOLDER / "sweep.parquet", SWEEP)
    page = sweep_report(table, choice, title=Path(params.data.root).name, lineage=hashes)
    write_text(page, FOLDER / "report.html")
    write_json(metrics, FOLDER / "sweep.json")
    means = means_by_configuration(table)[list(MEASURES)]
    measured = dict(zip(means.index, means.to_dict("records"), strict=True))
    return Record(
        metrics={name: value for name, value in metrics.items() if isinstance(value, int | float)},
        artifacts=[FOLDER / "sweep.json", FOLDER / "report.html"],
        datasets=[(name, digest, f"artifacts/{name}") for name, digest in hashes.items()],
        tags={"chosen": json.dumps(points[choice.method]), "chosen.score": choice.score},
        within=lambda run: record_children(run, [(name, points[name], measured[name]) for name in points]),
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
