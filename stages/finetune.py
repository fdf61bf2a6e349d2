"""Stage `finetune`: every method, held-out domain and seed trains together, on cached features unless views: 0.

With them train the same methods without some known classes and domains, so that validation can choose among them.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.fits import write_fits
from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.splits import domain_of
from pipeline.tables import MANIFEST, SPLITS, read_table, write_json, write_table
from stages import _paths as paths
from stages._run import Record, stage


@stage("finetune", sections=("compute", "data", "backbone", "featurize", "finetune", "choose"))
def main(params: Params) -> Record:
    from pipeline.backbone.fresh import view_source
    from pipeline.backbone.load import backbone_of
    from pipeline.methods.settings import all_options
    from pipeline.progress import Progress
    from pipeline.training.assemble import collect, diverged_lines, fit_metrics, plan_runs
    from pipeline.training.engine import fit
    from pipeline.training.left_out import in_batches, left_out_splits
    from pipeline.training.runs import Inputs, count_epochs, distinct

    features, device = read_features(paths.FEATURES), resolve_device(params.compute.device)
    manifest = read_table(paths.MANIFEST, MANIFEST)
    backbone = backbone_of(
        features.meta, model=params.backbone.model, weights=Path(params.backbone.weights), device=device
    )
    views = view_source(
        features, manifest, root=Path(params.data.root), backbone=backbone,
        batch_size=params.featurize.batch_size, workers=params.featurize.workers,
    )  # fmt: skip
    splits, methods = read_table(paths.SPLITS, SPLITS), all_options(params.finetune)
    left_out = left_out_splits(splits, domain_of(manifest), params.choose.folds, params.choose.seeds)
    whole = plan_runs(splits, features, methods)
    runs = [*whole, *in_batches(plan_runs(left_out, features, methods))]
    inputs = Inputs.of(features, views, lambda: backbone().prompt_tower())
    with Progress(f"fine-tuning {len(distinct(runs))} runs", count_epochs(runs), "epochs") as progress:
        trained = fit(runs, inputs, device=device, on_epoch=lambda done, _: progress.advance(done - progress.done))
    fits, parts = trained[: len(whole)], trained[len(whole) :]
    print("".join(f"{line}\n" for line in diverged_lines(trained)), end="", flush=True)
    tables = collect(fits)
    metrics = fit_metrics(fits)
    write_json(metrics, paths.FIT_METRICS)
    write_table(left_out, paths.LEFT_OUT / "splits.parquet", SPLITS)
    write_fits(collect(parts), paths.LEFT_OUT)
    write_fits(tables, paths.FITS)
    mean = tables.history.groupby(["method", "epoch"])["validation_accuracy"].mean()
    return Record(
        metrics={f"{method}.{key}": value for method, values in metrics.items() for key, value in values.items()},
        artifacts=[paths.FIT_METRICS],
        series={f"{m}.validation_accuracy_by_epoch": list(mean[m].items()) for m in mean.index.unique("method")},
        datasets=[("splits", file_sha256(paths.SPLITS), str(paths.SPLITS))],
    )


if __name__ == "__main__":
    main()
