"""Stage `featurize`: the frozen towers encode what the embedding store lacks, and the features are put together."""

from __future__ import annotations

from pathlib import Path

from pipeline.device import resolve_device
from pipeline.features import write_features
from pipeline.hashing import file_sha256
from pipeline.origin import workspace
from pipeline.params import Params
from pipeline.splits import known_classes
from pipeline.tables import MANIFEST, SPLITS, TRAIN, read_table
from stages import _paths as paths
from stages._run import Record, stage


@stage("featurize", sections=("compute", "data", "backbone", "featurize"))
def main(params: Params) -> Record:
    from pipeline.backbone.featurize import featurize
    from pipeline.backbone.load import load_backbone

    manifest = read_table(paths.MANIFEST, MANIFEST)
    splits = read_table(paths.SPLITS, SPLITS)
    classes = known_classes(splits)
    backbone = load_backbone(
        params.backbone.model, Path(params.backbone.weights), resolve_device(params.compute.device),
        precision=params.featurize.precision,
    )  # fmt: skip
    features, counts = featurize(
        manifest,
        backbone,
        params.backbone,
        params.featurize,
        root=Path(params.data.root),
        train_paths=sorted(splits.loc[splits["role"] == TRAIN, "path"].unique()),
        classes=classes,
        store_path=workspace(Path.cwd()) / paths.EMBEDDINGS,
    )
    write_features(features, paths.FEATURES)
    print(
        f"encoded {counts['encoded']:.0f} views, {counts['from_store']:.0f} from the store; "
        f"the encoder waited for images {counts['wait_share']:.1%} of the time",
        flush=True,
    )
    return Record(
        metrics=counts,
        artifacts=[paths.FEATURES / "meta.json"],
        datasets=[("manifest", file_sha256(paths.MANIFEST), str(paths.MANIFEST))],
        tags={"weights_sha256": backbone.weights_sha256},
    )


if __name__ == "__main__":
    main()
