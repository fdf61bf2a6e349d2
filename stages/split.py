"""Stage `split`: who may see what, for every held-out domain and seed, and for the fit that is deployed."""

from __future__ import annotations

from pipeline.errors import DataError
from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.tables import MANIFEST, SPLITS, read_table, write_csv, write_json, write_table
from stages import _paths as paths
from stages._run import Record, stage


@stage("split", sections=("data", "split", "backbone"))
def main(params: Params) -> Record:
    from pipeline.data.classes import known_classes, overlapping_pools, without
    from pipeline.data.leakage import check_splits
    from pipeline.data.near_leakage import CHECK, leakage_verdict, near_leakage
    from pipeline.data.protocols import make_splits

    manifest, split = read_table(paths.MANIFEST, MANIFEST), params.split
    known = known_classes(manifest, params.data.unknown)
    overlaps = overlapping_pools(manifest, known, params.data.synonyms, params.backbone.class_names)
    splits = make_splits(without(manifest, overlaps), known, split)
    left_out = list(zip(overlaps["pool"], overlaps["class"], strict=True))
    check_splits(splits, manifest, unknown=params.data.unknown, sources=split.sources, left_out=left_out)
    distance = params.data.near_duplicate_distance
    leaks, complete = near_leakage(splits, manifest, distance=distance)
    verdict = leakage_verdict(leaks, complete=complete, distance=distance, fatal=CHECK in params.data.fatal)
    write_json(verdict, paths.LEAKAGE)
    write_csv(leaks, paths.LEAKS)
    if not verdict["success"]:
        raise DataError(f"{verdict['line']}; full list: {paths.LEAKS}")
    if verdict["line"]:
        print(f"warning: {verdict['line']}; full list: {paths.LEAKS}", flush=True)
    write_table(splits, paths.SPLITS, SPLITS)
    for pool, name, means in overlaps.itertuples(index=False):
        print(f"left out of the open set {pool}: {name}, which means {means}", flush=True)
    return Record(
        metrics={f"images_{role}": int(count) for role, count in splits["role"].value_counts().items()}
        | {"classes_left_out": len(overlaps), f"faults/{CHECK}": verdict["images"]},
        artifacts=[paths.SPLITS, paths.LEAKAGE, paths.LEAKS],
        datasets=[("manifest", file_sha256(paths.MANIFEST), str(paths.MANIFEST))],
    )


if __name__ == "__main__":
    main()
