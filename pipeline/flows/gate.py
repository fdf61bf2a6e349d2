"""The task after the last stage: a registered version becomes challenger, and the first one goes through the gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from pipeline.methods.settings import load_checked
from pipeline.params import PARAMS_FILE
from pipeline.registry.registration import CARD, REGISTRATION, read_registration

if TYPE_CHECKING:
    from pipeline.registry.standing import Standing

STAGE = "register"


@task(name="gate", task_run_name="gate", cache_policy=NO_CACHE, persist_result=False)
def settle_registered(root: str) -> Standing:
    """Settle the version that artifacts/registration.json names; the log says what became of it.

    Raises:
        CroftError: params.yaml is wrong, or the registry failed while the gate was at work.
    """
    from pipeline.registry.standing import settle_registration

    logger = get_run_logger()
    folder = Path(root)
    registration, limits = read_registration(folder / REGISTRATION), load_checked(folder / PARAMS_FILE).promote
    standing = settle_registration(registration, folder / CARD, limits=limits, root=folder)
    name = f"{standing.model} version {standing.version}"
    if standing.trouble:
        logger.warning("%s names %s: %s", REGISTRATION, name, standing.trouble)
        return standing
    if standing.verdict:
        for check in standing.verdict.reasons:
            logger.info("%s  %s", "pass" if check.passed else "FAIL", check.sentence)
    logger.info("%s: %s", name, ", ".join(standing.aliases))
    return standing
