"""Stage `validate`: Great Expectations decides whether the data may go on, and writes its Data Docs."""

from __future__ import annotations

from pipeline.errors import DataError
from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.tables import MANIFEST, read_table, write_json
from stages import _paths as paths
from stages._run import Record, stage


@stage("validate", sections=("data", "split"))
def main(params: Params) -> Record:
    from pipeline.data.classes import known_classes
    from pipeline.data.quality import check_manifest

    manifest = read_table(paths.MANIFEST, MANIFEST)
    verdict = check_manifest(
        manifest,
        known=known_classes(manifest, params.data.unknown),
        required=params.split.validation + (params.split.shots if params.split.shots_per == "class_and_domain" else 0),
        min_side=params.data.min_side,
        docs=paths.DATA_DOCS,
    )
    write_json(verdict, paths.VERDICT)
    if not verdict["success"]:
        raise DataError(f"{'; '.join(verdict['problems'])}; see {paths.DATA_DOCS / 'index.html'}")
    return Record(
        metrics={"checks": len(verdict["checks"]), "images": len(manifest)},
        artifacts=[paths.VERDICT, paths.DATA_DOCS],
        datasets=[("manifest", file_sha256(paths.MANIFEST), str(paths.MANIFEST))],
    )


if __name__ == "__main__":
    main()
