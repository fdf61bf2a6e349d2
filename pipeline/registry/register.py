"""Put an exported model into the registry as a new version, under the alias challenger."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.registry.card.tracked import log_card
from pipeline.registry.gate import FACTS_TAG, facts
from pipeline.registry.package import CARD_FILE, check_export, save_package
from pipeline.registry.registration import HASH_TAG
from pipeline.registry.settled import settled
from pipeline.registry.unfinished import remove_unfinished, removed_on_error
from pipeline.registry.versions import CHALLENGER, aliased, model_version, open_registry
from pipeline.tables import read_json
from pipeline.tracking.client import reported

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.tracking import MlflowClient

ZERO_SHOT = "zero-shot"  # the method of params.yaml that the gate takes as the untrained reference
_RUN_TAGS = ("git_commit", "git_dirty", "lock_sha256", "params_sha256", "mlflow.parentRunId")
_TAG_CHARACTERS = 5000  # some registries hold no more


def register_model(
    folder: Path,
    *,
    name: str,
    run_id: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, Any],
    reference: str = ZERO_SHOT,
    root: Path | None = None,
) -> str:
    """Log the exported model to its run, register a version with a model card, give it the alias challenger.

    Args:
        folder: artifacts/export, with model.onnx, card.json and parity.json.
        name: of the registered model.
        run_id: the register stage's run; may be open or ended.
        tags: for the version: `stage.<name>.run_id` of every stage, which lineage reads. The run's commit, lock and
            params hashes and the card's content hashes are added to them.
        metrics: metrics.json of the evaluation.
        reference: the untrained method that the gate compares with.
        root: the project; the working directory by default.
    Returns:
        The version's number.
    Raises:
        TrackingError: the server cannot be reached or refuses.
        DataError: a file of the folder is missing.
        GateError: the metrics have no accuracy of the deployed method.
    """
    check_export(folder)
    card, parity = read_json(folder / CARD_FILE), read_json(folder / "parity.json")
    known = facts(
        metrics,
        method=card["method"],
        reference=reference,
        classes=tuple(card["classes"]),
        targets=tuple(card["targets"]),
        parity=bool(parity["passed"]),
        data=card["sha256"].get("manifest", ""),
        known_classes=int(card["known_classes"]),
    )
    client, uri = open_registry(root)
    with reported(uri):
        run = client.get_run(run_id)
        remove_unfinished(client, name, experiment=run.info.experiment_id)
        of_run = run.data.tags
        labels = {
            **{key: of_run[key] for key in _RUN_TAGS if key in of_run},
            **{f"{HASH_TAG}{key}": value for key, value in card["sha256"].items()},
            "method": card["method"],
            "backbone": card["backbone"],
            FACTS_TAG: known.to_json(),
            **tags,
        }
        logged = client.create_logged_model(
            run.info.experiment_id, name=name, source_run_id=run_id, model_type="classifier"
        )
        with removed_on_error(client, logged):
            _log_model(client, logged, folder, run_id=run_id, card=card)
            _ensure_registered(client, name)
            settled(client, name)
            version = client.create_model_version(
                name,
                # Not "models:/ID": a database store would look that up in MLflow's global URI, which is not ours.
                logged.artifact_location,
                run_id,
                tags={key: str(value)[:_TAG_CHARACTERS] for key, value in labels.items()},
                model_id=logged.model_id,
            )
        log_card(client, name, str(version.version), run_id, card)
        client.set_registered_model_alias(name, CHALLENGER, version.version)
        return str(version.version)


def ensure_challenger(name: str, version: str, *, root: Path | None = None) -> bool:
    """Give an existing version the alias challenger; True if it did not have it.

    Raises:
        TrackingError: the server cannot be reached, or the model or version does not exist.
    """
    client, uri = open_registry(root)
    with reported(uri):
        if aliased(client, name, CHALLENGER) == version:
            return False
        client.set_registered_model_alias(name, CHALLENGER, model_version(client, name, version).version)
        return True


def _log_model(
    client: MlflowClient, logged: LoggedModel, folder: Path, *, run_id: str, card: Mapping[str, Any]
) -> None:
    from mlflow.entities import LoggedModelOutput

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "model"
        metadata = {"method": card["method"], "sha256": card["sha256"]}
        save_package(folder, out, run_id=run_id, model_id=logged.model_id, metadata=metadata)
        client.log_model_artifacts(logged.model_id, str(out))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _ensure_registered(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="CLIP classifier with an unknown class; takes encoded images")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
