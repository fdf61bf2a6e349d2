"""Stage `register`: a new version in the model registry, logged to this stage's run, alias challenger."""

from __future__ import annotations

from pathlib import Path

from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.tables import read_json
from stages import _paths as paths
from stages._run import Record, stage


@stage("register", sections=("register",))
def main(params: Params) -> Record:
    from pipeline.registry.card.tracked import LOCK, VERSIONS_ENDING
    from pipeline.registry.register import register_model
    from pipeline.registry.registration import Registration, write_registration
    from pipeline.tracking.identity import read_identity

    name, metrics = params.register_.model, read_json(paths.METRICS)
    # No dependency: these say which runs made the files that this stage does depend on.
    made = {file.stem: read_identity(file) for file in sorted(paths.RUNS.glob("*.json"))}
    runs = {stage: identity.run_id for stage, identity in made.items()}
    data = made["ingest"].params.get("data.root", "") if "ingest" in made else ""
    records = [path for path in (Path(LOCK), Path(f"{data}{VERSIONS_ENDING}")) if path.is_file()]

    def within(run_id: str) -> None:
        version = register_model(
            paths.MODEL.parent,
            name=name,
            run_id=run_id,
            tags={f"stage.{stage}.run_id": run for stage, run in {**runs, "register": run_id}.items()},
            metrics=metrics,
        )
        write_registration(Registration(name, version, run_id), paths.REGISTRATION)

    return Record(
        datasets=[("model", file_sha256(paths.MODEL), str(paths.MODEL))],
        # The runs' facts and DVC's record stay with the version, as the runs' ids do; protocol fits, so that the gate
        # can ask them again.
        artifacts=[paths.CARD, paths.PARITY, paths.RUNS, paths.PROTOCOL, *records],
        within=within,
    )


if __name__ == "__main__":
    main()
