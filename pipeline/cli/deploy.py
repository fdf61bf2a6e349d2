"""`croft deploy`: the flows on a Prefect server, and what to do next."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import telemetry
from pipeline.console import make_console, say
from pipeline.errors import ParamsError
from pipeline.flows.server import API_VARIABLE, POOL
from pipeline.params import load_params
from pipeline.tracking.client import shown_uri

if TYPE_CHECKING:
    from pipeline.checkout.data import Choice


def check_api() -> None:
    """Return if a Prefect server is named and answers.

    Raises:
        ParamsError: none is named.
        PipelineError: it does not answer.
    """
    if not os.environ.get(API_VARIABLE, "").strip():
        raise ParamsError(
            f"{API_VARIABLE} is not set; start a server with `prefect server start` and set it to its address, "
            "such as http://127.0.0.1:4200/api"
        )
    telemetry.disable()
    from pipeline.flows.given_api import check_given_api

    check_given_api()


def deploy_flows(*, data: Sequence[str], revision: str, **options: Any) -> None:
    """Register the deployments of this project and print how to go on.

    Args:
        data: NAME=latest or NAME=NUMBER; by default the data set of params.yaml, at its latest version.
        revision: that runs check out.
        options: the other fields of `pipeline.flows.deploy.Plan`.
    Raises:
        ParamsError: an option is wrong, or no server is named.
        PipelineError: the server does not answer, or there is no such revision.
    """
    check_api()
    project = Path.cwd().resolve()
    choices = parse_choices(data) if data else default_choices(project)
    from pipeline.checkout.make import find_commit

    commit = find_commit(project, revision)
    from pipeline.flows.deploy import Plan, deploy

    plan = Plan(project, revision=revision, data=choices, **options)
    names = deploy(plan)
    console = make_console()
    used = ", ".join(f"{name}@{choice}" for name, choice in choices.items()) or "the data of the revision"
    say(f"Deployed to {shown_uri(os.environ[API_VARIABLE])}: {', '.join(names)}", console)
    say(f"Runs check out {revision} (now {commit[:12]}) with {used}; promotion: {plan.policy}", console)
    times = [f"at {plan.cron} ({plan.timezone})"] if plan.cron else []
    times += ["when a new version of the data is added"] if plan.on_data else []
    say(f"Training runs {' and '.join([*times, 'on demand'])}", console)
    say("Next:", console)
    pool = "" if plan.pool == POOL else f" --pool {plan.pool}"
    say(f"  croft worker{pool}  (keep it running; it takes the runs that are due)", console)
    say(f"  prefect deployment run train/{plan.name}  (a run now)", console)


def parse_choices(words: Sequence[str]) -> dict[str, Choice]:
    """Read NAME=latest and NAME=NUMBER.

    Raises:
        ParamsError: a word is neither.
    """
    choices: dict[str, Choice] = {}
    for word in words:
        name, _, version = word.partition("=")
        if not name or not (version == "latest" or (version.isdigit() and int(version) > 0)):
            raise ParamsError(f"--data {word}: expected NAME=latest or NAME=NUMBER")
        choices[name] = "latest" if version == "latest" else int(version)
    return choices


def default_choices(project: Path) -> dict[str, Choice]:
    """The data set that params.yaml uses, at its latest version; none for data that has no versions."""
    from pipeline.versioning.history import read_history
    from pipeline.versioning.names import FOLDER

    root = Path(load_params().data.root)
    return {root.name: "latest"} if root.parent == FOLDER and read_history(project, root.name) else {}
