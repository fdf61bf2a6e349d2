"""Stage `ingest`: every image of the data folder is hashed and checked once; one manifest row each."""

from __future__ import annotations

from pathlib import Path

from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.tables import MANIFEST, REFUSED, write_table
from stages import _paths as paths
from stages._run import Record, stage


@stage("ingest", sections=("data",))
def main(params: Params) -> Record:
    from pipeline.data.classes import in_domains
    from pipeline.data.manifest import build_manifest

    data = params.data
    manifest, refused = build_manifest(
        Path(data.root),
        min_side=data.min_side,
        max_pixels=data.max_pixels,
        workers=data.workers,
        skip=data.on_bad_image == "skip",
    )
    write_table(manifest, paths.MANIFEST, MANIFEST)
    write_table(refused, paths.REFUSED, REFUSED)
    return Record(
        metrics={
            "images": len(manifest),
            "refused": len(refused),
            "bytes": int(manifest["bytes"].sum()),
            "domains": in_domains(manifest)["domain"].nunique(),
            "classes": in_domains(manifest)["class"].nunique(),
        },
        artifacts=[paths.MANIFEST, paths.REFUSED],
        datasets=[("images", file_sha256(paths.MANIFEST), data.root)],
    )


if __name__ == "__main__":
    main()
