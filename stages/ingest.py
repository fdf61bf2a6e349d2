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
    found = build_manifest(
        Path(data.root),
        min_side=data.min_side,
        max_pixels=data.max_pixels,
        workers=data.workers,
        skip=data.on_bad_image == "skip",
        record=paths.READ,
    )
    write_table(found.manifest, paths.MANIFEST, MANIFEST)
    write_table(found.refused, paths.REFUSED, REFUSED)
    images = len(found.manifest)
    print(f"{images} images, {len(found.refused)} refused; {found.read} read, the others unchanged", flush=True)
    return Record(
        metrics={
            "images": images,
            "refused": len(found.refused),
            "read": found.read,
            "bytes": int(found.manifest["bytes"].sum()),
            "domains": in_domains(found.manifest)["domain"].nunique(),
            "classes": in_domains(found.manifest)["class"].nunique(),
        },
        artifacts=[paths.MANIFEST, paths.REFUSED],
        datasets=[("images", file_sha256(paths.MANIFEST), data.root)],
    )


if __name__ == "__main__":
    main()
