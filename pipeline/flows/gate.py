"""After the last stage: a registered version becomes challenger, goes through the gate, and is promoted by policy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import get_run_logger, pause_flow_run, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Running

from pipeline.flows.events import HELD, PROMOTED, tell_version
from pipeline.flows.forms import Policy, Superiority
from pipeline.methods.settings import load_checked
from pipeline.params import PARAMS_FILE, Promote
from pipeline.registry.registration import CARD, REGISTRATION, read_registration

if TYPE_CHECKING:
    from pipeline.registry.gate import Verdict
    from pipeline.registry.standing import Standing

STAGE = "register"
_POLL_SECONDS = 5


class Answer(RunInput):
    """What a person says to a verdict."""

    approve: bool = False
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a version is promoted.

    Attributes:
        policy: first, auto, ask or never.
        superiority: in place of `promote.superiority`; None for that of params.yaml.
        hours: that a person has to answer.
    """

    policy: Policy = "first"
    superiority: Superiority | None = None
    hours: float = 24.0

    def limits(self, root: Path) -> Promote:
        """Those of params.yaml, with this superiority.

        Raises:
            ParamsError: params.yaml is wrong.
        """
        limits = load_checked(root / PARAMS_FILE).promote
        return limits.model_copy(update={"superiority": self.superiority}) if self.superiority else limits


@task(name="gate", task_run_name="gate", cache_policy=NO_CACHE, persist_result=False)
def settle_registered(root: str, rules: Rules) -> Standing:
    """Settle the version that artifacts/registration.json names; the log says what became of it.

    Raises:
        CroftError: params.yaml is wrong, or the registry failed while the gate was at work.
    """
    from pipeline.registry.standing import settle_registration

    logger = get_run_logger()
    folder = Path(root)
    standing = settle_registration(
        read_registration(folder / REGISTRATION), folder / CARD, limits=rules.limits(folder), root=folder,
        promote_first=rules.policy in ("first", "auto"),
    )  # fmt: skip
    name = f"{standing.model} version {standing.version}"
    if standing.trouble:
        logger.warning("%s names %s: %s", REGISTRATION, name, standing.trouble)
        return standing
    _log(standing.verdict)
    logger.info("%s: %s", name, ", ".join(standing.aliases))
    return standing


@task(name="judge", task_run_name="judge", cache_policy=NO_CACHE, persist_result=False)
def judge(
    root: str, model: str, version: str, rules: Rules, *, move: bool, reason: str, force: bool = False
) -> Verdict:
    """Put a version through the gate, with its verdict in the log and on the version; promote it only with `move`."""
    from pipeline.registry.promotion import promote

    limits = rules.limits(Path(root))
    verdict = promote(model, version, limits=limits, root=Path(root), reason=reason, force=force, move=move)
    _log(verdict)
    return verdict


def settle(root: Path, rules: Rules, *, new: bool = True) -> Standing:
    """Settle the registered version, and promote or hold it as the policy says; an event tells which.

    Args:
        root: the project, whose artifacts hold the version's evaluation data.
        rules: of promotion.
        new: the run made this version; a verdict that stands on an older one is not asked for again.
    Raises:
        CroftError: params.yaml is wrong, or the registry failed.
    """
    from pipeline.registry.standing import is_judged

    standing = settle_registered(str(root), rules)
    if standing.trouble or rules.policy == "first":
        return standing
    if standing.champion == standing.version:
        if standing.verdict is not None:
            _tell(root, standing.model, standing.verdict)
        return standing
    if not new and is_judged(standing, root=root):
        get_run_logger().info("version %s is held: this gate has judged it before", standing.version)
        return standing
    verdict = decide(root, standing.model, standing.version, rules)
    champion = standing.version if verdict.promoted else standing.champion
    return dataclasses.replace(standing, champion=champion, verdict=verdict)


def decide(root: Path, model: str, version: str, rules: Rules) -> Verdict:
    """Judge a version and promote it by policy; called within a flow. Other arguments and errors as `settle`."""
    by = f"flow run {flow_run.name}"
    verdict = judge(str(root), model, version, rules, move=rules.policy in ("first", "auto"), reason="")
    if rules.policy == "ask" and verdict.version != verdict.champion:
        answer, why = ask(model, verdict, rules.hours)
        if answer.approve and not verdict.passed and not answer.reason.strip():
            why = "approved without a reason, which overruling the gate needs"
        elif answer.approve:
            reason = f"approved in {by}: {answer.reason.strip() or 'no reason given'}"
            verdict = judge(str(root), model, version, rules, move=True, reason=reason, force=not verdict.passed)
            why = ""
        if why:
            get_run_logger().warning("%s version %s is held: %s", model, verdict.version, why)
    _tell(root, model, verdict)
    return verdict


def ask(model: str, verdict: Verdict, hours: float) -> tuple[Answer, str]:
    """Pause this flow run with the verdict as the form's text; the answer, and why it is no approval.

    A form that nobody fills in within `hours` counts as a no.
    """
    lines = [f"* {'pass' if check.passed else '**FAIL**'}: {check.sentence}" for check in verdict.reasons]
    judgement = "passes the gate" if verdict.passed else "does not pass the gate; to overrule it, give a reason"
    text = f"**{model} version {verdict.version}** {judgement}.\n\n" + "\n".join(lines)
    form = Answer.with_initial_data(description=text)
    try:
        answer = pause_flow_run(form, timeout=max(int(hours * 3600), 1), poll_interval=_POLL_SECONDS)
    except FlowPauseTimeout:
        with get_client(sync_client=True) as client:  # or the server turns the end of this run into a failure
            client.set_flow_run_state(flow_run.id, Running(), force=True)
        return Answer(), f"nobody answered within {hours:g} hours"
    return answer, "" if answer.approve else f"refused by a person: {answer.reason.strip() or 'no reason given'}"


def _tell(root: Path, model: str, verdict: Verdict) -> None:
    name = f"{model} version {verdict.version}"
    before = f"before: version {verdict.champion}" if verdict.champion else "the first"
    failed = [check.sentence for check in verdict.reasons if not check.passed]
    held = f"{name} is held{': ' * bool(failed)}{'; '.join(failed)}"
    tell_version(
        PROMOTED if verdict.promoted else HELD, root, f"{name} is champion ({before})" if verdict.promoted else held,
        version=verdict.version, champion=verdict.version if verdict.promoted else verdict.champion,
        passed=verdict.passed, reasons=[[check.name, check.passed, check.sentence] for check in verdict.reasons],
    )  # fmt: skip


def _log(verdict: Verdict | None) -> None:
    for check in verdict.reasons if verdict else ():
        get_run_logger().info("%s  %s", "pass" if check.passed else "FAIL", check.sentence)
