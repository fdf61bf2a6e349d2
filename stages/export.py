"""Stage `export`: the fit on all domains becomes an ONNX file with threshold and card, checked against torch."""

from __future__ import annotations

from pathlib import Path

from pipeline.device import resolve_device
from pipeline.features import read_features
from pipeline.fits import read_fits
from pipeline.hashing import lineage
from pipeline.params import Params
from pipeline.tables import MANIFEST, SPLITS, read_json, read_table, write_json
from stages import _paths as paths
from stages._run import Record, stage


@stage("export", sections=("compute", "data", "backbone", "export"))
def main(params: Params) -> Record:
    from pipeline.backbone.load import load_backbone
    from pipeline.decision.fit import Limits
    from pipeline.decision.kept import keep, write_kept
    from pipeline.detection.scores.spaces import option_of
    from pipeline.export.deploy import Upstream
    from pipeline.export.parity import check
    from pipeline.export.publish import publish

    inputs = {"manifest": paths.MANIFEST, "splits": paths.SPLITS, "features": paths.FEATURES, "fits": paths.FITS}
    made = Upstream(
        read_features(paths.FEATURES),
        read_fits(paths.FITS),
        read_table(paths.SPLITS, SPLITS),
        read_table(paths.MANIFEST, MANIFEST),
        read_json(paths.METRICS),
        read_json(paths.CHOICE),
        lineage(inputs),
    )
    card, parity = publish(
        load_backbone(params.backbone.model, Path(params.backbone.weights), "cpu"),
        made,
        params,
        provider=resolve_device(params.compute.device),
        out=paths.MODEL,
        statistics=paths.STATISTICS,
    )
    write_json(parity, paths.PARITY)
    check(parity, params.export.tolerance)
    option, limits = option_of(made.choice["score"]), Limits(params.export.accept, params.export.threshold)
    kept = keep(
        made.features, made.fits, made.splits, made.manifest, method=made.choice["method"], option=option, limits=limits
    )
    write_kept(kept, paths.PROTOCOL)
    write_json(card, paths.CARD)
    return Record(
        metrics={"threshold": card["threshold"], "accepted": card["accepted"], **numbers(parity)},
        artifacts=[paths.CARD, paths.PARITY],
        datasets=[(name, digest, f"artifacts/{name}") for name, digest in card["sha256"].items()],
    )


def numbers(parity: dict[str, object]) -> dict[str, float]:
    return {f"parity.{key}": float(value) for key, value in parity.items() if isinstance(value, int | float)}


if __name__ == "__main__":
    main()
