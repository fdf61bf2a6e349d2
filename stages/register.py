"""Stage `register`: a new version in the model registry, logged to this stage's run, alias challenger."""

from __future__ import annotations

from pipeline.hashing import file_sha256
from pipeline.params import Params
from pipeline.tables import read_json
from stages import _paths as paths
from stages._run import Record, stage


@stage("register", sections=("register",))
def main(params: Params) -> Record:
    from pipeline.registry.register import register_model
    from pipeline.registry.registration import Registration, write_registration
    from pipeline.tracking.identity import read_identity

    name, metrics = params.register_.model, read_json(paths.METRICS)
    # No dependency: these say which runs made the files that this stage does depend on.
    runs = {file.stem: read_identity(file).run_id for file in sorted(paths.RUNS.glob("*.json"))}

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
        # The runs' facts stay with the version, as their ids do; protocol fits, so that the gate can ask them again.
        artifacts=[paths.CARD, paths.PARITY, paths.RUNS, paths.PROTOCOL],
        within=within,
    )


if __name__ == "__main__":
    main()
