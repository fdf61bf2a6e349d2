"""Stage `validate`: Great Expectations decides whether the data are good enough, and writes its Data Docs."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import DataError
from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.tables import MANIFEST, REFUSED, read_table, write_csv, write_json
from stages import _paths as paths
from stages._run import Record, stage


@stage("validate", sections=("data", "split", "backbone"))
def main(params: Params) -> Record:
    from pipeline.backbone.load import load_tokenizer
    from pipeline.backbone.prompts import name_tokens
    from pipeline.data.classes import known_classes
    from pipeline.data.quality import check_manifest

    data, class_names = params.data, params.backbone.class_names
    manifest = read_table(paths.MANIFEST, MANIFEST)
    known = known_classes(manifest, data.unknown)
    tokenizer = load_tokenizer(params.backbone.model, Path(params.backbone.weights))
    tokens = name_tokens(tokenizer, [class_names.get(name, name) for name in known], params.backbone.prompts)
    verdict, faults = check_manifest(
        manifest,
        read_table(paths.REFUSED, REFUSED),
        data,
        params.split,
        class_names=class_names,
        tokens=dict(zip(known, tokens, strict=True)),
        context=tokenizer.context,
        docs=paths.DATA_DOCS,
    )
    write_json(verdict, paths.VERDICT)
    write_csv(faults, paths.FAULTS)
    for line in [*verdict["notes"], *(f"warning: {warning}" for warning in verdict["warnings"])]:
        print(line, flush=True)
    if not verdict["success"]:
        raise DataError(
            f"{'; '.join(verdict['problems'])}; full list: {paths.FAULTS}; report: {paths.DATA_DOCS / 'index.html'}"
        )
    return Record(
        metrics={"images": len(manifest), **{f"faults/{c['check']}": c["count"] for c in verdict["checks"]}},
        artifacts=[paths.VERDICT, paths.FAULTS, paths.DATA_DOCS],
        datasets=[("manifest", file_sha256(paths.MANIFEST), str(paths.MANIFEST))],
    )


if __name__ == "__main__":
    main()
