"""`croft deploy`: every flow as a Prefect deployment on a process pool; the same command twice changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.deployments.runner import RunnerDeployment
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.processutils import command_to_string
from prefect.workers.process import ProcessWorker

from pipeline.checkout.data import Choice
from pipeline.errors import ParamsError
from pipeline.flows.events import DATA, PROJECT
from pipeline.flows.forms import Policy, Superiority
from pipeline.flows.notify import set_notification
from pipeline.flows.server import POOL

_RETRIES = 1  # a stage that failed is tried once more; what it had encoded is kept


@dataclass(frozen=True)
class Plan:
    """What is to be deployed.

    Attributes:
        project: the folder of the project on the machine of the worker.
        name: of the deployments; another one for each project of a server.
        pool: of processes; created where it is missing.
        cron, timezone: when the train flow runs; "" for on demand only.
        revision: that runs check out.
        data: data sets by name and version, for the train flow.
        policy, superiority, hours: how a version is promoted.
        on_data: run the train flow when one of `data` gets a new version.
        notify: URL that is called when a version was promoted or held, or a run failed; "" for none.
    """

    project: Path
    name: str = "croft"
    pool: str = POOL
    cron: str = ""
    timezone: str = "UTC"
    revision: str = "main"
    data: Mapping[str, Choice] = field(default_factory=dict)
    policy: Policy = "ask"
    superiority: Superiority | None = None
    hours: float = 24.0
    on_data: bool = False
    notify: str = ""


def deploy(plan: Plan) -> list[str]:
    """Register the deployments, with schedule and automations; what an earlier call set and this one lacks is removed.

    Returns:
        The deployments, as `flow/name`.
    Raises:
        ParamsError: the schedule is none.
        PrefectException: the server refuses.
    """
    with get_client(sync_client=True) as client:
        _make_pool(client, plan.pool)
        names = [_register(client, plan, one, parameters) for one, parameters in _flows(plan)]
        set_notification(client, plan.project, plan.name, plan.notify)
    return names


def _flows(plan: Plan) -> list[tuple[Flow[..., Any], dict[str, Any]]]:
    from pipeline.flows import parts
    from pipeline.flows.promote import promote
    from pipeline.flows.train import train
    from pipeline.flows.version_data import version_data

    place = {"revision": plan.revision, "data": dict(plan.data)}
    rules = {"superiority": plan.superiority, "hours": plan.hours}
    flows = (parts.build_splits, parts.finetune, parts.evaluate, parts.export)
    return [
        (train, {**place, "retries": _RETRIES, "policy": plan.policy, **rules}),
        (version_data, {}),
        *((part, {**place, "retries": _RETRIES}) for part in flows),
        (promote, {"revision": plan.revision, "policy": plan.policy, **rules}),
    ]


def _register(client: SyncPrefectClient, plan: Plan, flow: Flow[..., Any], parameters: dict[str, Any]) -> str:
    full_name, training = f"{flow.name}/{plan.name}", flow.name == "train"
    try:
        former = client.read_deployment_by_name(full_name)
        for schedule in former.schedules:  # an update would add to them
            client.delete_deployment_schedule(former.id, schedule.id)
    except ObjectNotFound:
        pass
    try:
        deployment = RunnerDeployment.from_flow(
            flow,
            plan.name,
            schedule=Cron(plan.cron, timezone=plan.timezone) if training and plan.cron else None,
            triggers=[_on_data(plan)] if training and plan.on_data else [],
            parameters=parameters,
            concurrency_limit=1,  # runs of one project would only wait for each other
            tags=["croft"],
            work_pool_name=plan.pool,
            job_variables={
                "command": command_to_string([sys.executable, "-m", "pipeline.flows.launch"]),
                "working_dir": str(plan.project),
            },
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
    except ValueError as error:
        reason = str(error).splitlines()[-2 if "\n" in str(error) else -1].strip()
        raise ParamsError(
            f"--cron {plan.cron!r} --timezone {plan.timezone!r}: {reason}; expected five fields such as '0 3 * * 1', "
            "and a name such as Europe/Zurich"
        ) from None
    deployment.apply()
    return full_name


def _on_data(plan: Plan) -> DeploymentEventTrigger:
    resources = [f"croft.data.{name}" for name in plan.data] or ["croft.data.*"]
    return DeploymentEventTrigger(
        name=f"{plan.name}: train on new data",
        expect={DATA},
        match={"prefect.resource.id": resources, PROJECT: str(plan.project)},
    )


def _make_pool(client: SyncPrefectClient, name: str) -> None:
    template = ProcessWorker.get_default_base_job_template()
    try:
        client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
    except ObjectAlreadyExists:
        pool = client.read_work_pool(name)
        if pool.type != "process":
            raise ParamsError(f"--pool {name}: a pool of type {pool.type}; expected process; choose another") from None
