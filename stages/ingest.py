"""Stage `ingest`: every image of the data folder is hashed and checked once; one manifest row each."""

from __future__ import annotations

from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.phrases import counted
from pipeline.tables import MANIFEST, REFUSED, write_table
from stages import _paths as paths
from stages._run import Record, stage


@stage("ingest", sections=("data",))
def main(params: Params) -> Record:
    from pipeline.data.classes import in_domains
    from pipeline.data.manifest import build_manifest

    data = params.data
    inventory = build_manifest(data, record=paths.READ)
    write_table(inventory.manifest, paths.MANIFEST, MANIFEST)
    write_table(inventory.refused, paths.REFUSED, REFUSED)
    images = len(inventory.manifest)
    print(
        f"{counted(images, 'image')}, {len(inventory.refused):,} refused; {inventory.read:,} read, the rest unchanged",
        flush=True,
    )
    return Record(
        metrics={
            "images": images,
            "refused": len(inventory.refused),
            "read": inventory.read,
            "bytes": int(inventory.manifest["bytes"].sum()),
            "domains": in_domains(inventory.manifest)["domain"].nunique(),
            "classes": in_domains(inventory.manifest)["class"].nunique(),
        },
        artifacts=[paths.MANIFEST, paths.REFUSED],
        datasets=[("images", file_sha256(paths.MANIFEST), data.root)],
    )


if __name__ == "__main__":
    main()
