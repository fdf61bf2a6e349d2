"""The gate's own reading and writing: versions' protocol fits, their comparison, the table that it leaves."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import CroftError, DataError, GateError, TrackingError
from pipeline.params import Promote
from pipeline.registry.epochs import read_journal
from pipeline.registry.evaluation_data import EvaluationData, read_evaluation_data
from pipeline.registry.gate import FACTS_TAG, VERDICT_TAG, Check, GateFacts, Verdict, absolute
from pipeline.registry.versions import model_version
from pipeline.tracking.versions import listed_versions

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from pipeline.decision.kept import Kept
    from pipeline.gate.verdict import Comparison

PROTOCOL = "protocol"
"""Artifact folder of a version's run with its protocol fits."""
FIRST = "first champion"


def assess(
    client: MlflowClient, name: str, version: str, champion: str, *, limits: Promote, root: Path | None = None
) -> Verdict:
    """Judge a version by its own facts, against the champion and against the pinned reference; changes nothing.

    Args:
        client: of the registry.
        name, version: of the version to judge, by number.
        champion: number of the present champion, "" for none.
        limits: of the gate.
        root: the project, in which the version's evaluation data are looked up; the working directory by default.
    Raises:
        GateError: the version was not registered by this pipeline, or the reference does not exist.
    """
    checks = absolute(_facts(client, name, version), limits.min_gain_over_zero_shot)
    if not champion:
        checks.append(Check("champion", True, "first version: no champion to compare with"))
        return Verdict(all(check.passed for check in checks), tuple(checks))
    if version == champion:
        return Verdict(True, (*checks, Check("champion", True, f"version {version} is the champion")))
    from pipeline.gate.statistics import spent

    number = gate_number(client, name, version, champion)
    alpha = spent(limits.alpha, number)
    comparisons: list[Comparison] = []
    pinned = _reference(client, name, limits.reference)
    opponents = [("champion", champion, limits.superiority)]
    opponents += [("reference", pinned, "none")] if pinned not in ("", champion, version) else []
    try:
        data = read_evaluation_data(client, name, version, (root or Path.cwd()).resolve())
        mine = _kept(client, name, version)
        for against, other, superiority in opponents:
            comparison = _compare(
                mine, _kept(client, name, other), data, limits, alpha, superiority, against=against, version=other
            )
            comparisons.append(comparison)
            checks += _checks(comparison, limits)
    except (DataError, GateError) as error:
        checks.append(Check("comparable", False, str(error)))
    if limits.latency is not None:
        checks.append(_latency(name, version, champion, limits.latency, root))
    checks.append(
        Check("gate", True, f"gate {number} against champion {champion}: error rate {alpha:.2g} of {limits.alpha:g}")
    )
    return Verdict(all(check.passed for check in checks), tuple(checks), gate=number, table=_table(checks, comparisons))


def _latency(name: str, version: str, champion: str, most: float, root: Path | None) -> Check:
    from pipeline.registry.files import model_files
    from pipeline.registry.latency import compare_latency

    try:
        graphs = [model_files(name, number, root=root).graph for number in (version, champion)]
        ratio, low, high, pairs = compare_latency(*graphs)
    except CroftError as error:
        return Check("latency", False, f"latency cannot be compared: {error}")
    return Check(
        "latency",
        ratio <= most,
        f"one image on one core takes {ratio:.2f} times as long as with champion {champion} (middle half of {pairs} "
        f"pairs: {low:.2f} to {high:.2f}); at most {most:g}",
    )


def gate_number(client: MlflowClient, name: str, version: str, champion: str) -> int:
    """Which gate against this champion it is: 1 and the other versions that were judged against it before.

    Judging a version again, on the same images, is no new chance and keeps its place.
    """
    judged = set()
    for other in listed_versions(client, name):
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            verdict = json.loads(other.tags.get(VERDICT_TAG, ""))
            if verdict.get("champion") == champion and verdict.get("gate"):
                if str(other.version) == version:
                    return int(verdict["gate"])
                judged.add(str(other.version))
    return len(judged - {version}) + 1


def store_table(client: MlflowClient, name: str, verdict: Verdict) -> None:
    """Leave the whole table with the version's run, as gate/against-CHAMPION.md and .json; no tag can hold it."""
    if not verdict.table:
        return
    run = str(model_version(client, name, verdict.version).run_id)
    place = f"gate/against-{verdict.champion}"
    client.log_text(run, verdict.table["markdown"], f"{place}.md")
    client.log_dict(run, {key: value for key, value in verdict.table.items() if key != "markdown"}, f"{place}.json")


def _compare(
    mine: Kept,
    theirs: Kept,
    data: EvaluationData,
    limits: Promote,
    alpha: float,
    superiority: str,
    *,
    against: str,
    version: str,
) -> Comparison:
    from pipeline.evaluation.clusters import alike_groups
    from pipeline.gate.measure import measure
    from pipeline.gate.rescore import rescore
    from pipeline.gate.verdict import UNDERPOWERED, Comparison, decide
    from pipeline.splits import domain_of

    rescored = rescore(theirs, mine, data.features, data.splits, data.manifest)
    groups = alike_groups(data.manifest, limits.near_duplicate_distance)
    measured = measure(rescored.scores, domain_of(data.manifest), resamples=limits.resamples, groups=groups)
    rows, passed = decide(measured, limits, alpha=alpha, superiority=superiority)
    return Comparison(
        against, version, rows, passed, tuple(row.metric for row in rows if row.status == UNDERPOWERED), superiority,
        alpha, rescored.known, rescored.unknown, rescored.seen, rescored.notes,
    )  # fmt: skip


def _checks(comparison: Comparison, limits: Promote) -> list[Check]:
    from pipeline.gate.verdict import BETTER, allows, counts, sentence

    to = f"{comparison.against} {comparison.version}"
    notes = "".join(f"; {note}" for note in comparison.notes)
    checks = [Check("comparable", True, f"against {to}: {counts(comparison)}{notes}")]
    for row in comparison.rows:
        checks.append(Check(row.metric, allows(row, limits), f"{to}: {sentence(row)}"))
    if comparison.superiority != "none":
        better = any(row.metric == comparison.superiority and row.status == BETTER for row in comparison.rows)
        words = "is" if better else "is not shown to be"
        checks.append(Check("superiority", better, f"{comparison.superiority} {words} better than the {to}'s"))
    if not comparison.passed and all(check.passed for check in checks):
        checks.append(Check("rows", False, f"{to}: nothing could be measured"))
    return checks


def _table(checks: list[Check], comparisons: list[Comparison]) -> dict[str, Any]:
    from pipeline.gate.verdict import markdown

    lines = [f"- {'pass' if check.passed else 'FAIL'}: {check.sentence}" for check in checks]
    text = "\n".join(["## Gate", "", *lines, "", *(markdown(comparison) for comparison in comparisons)])
    return {
        "markdown": text,
        "checks": [check._asdict() for check in checks],
        "comparisons": [comparison.to_json() for comparison in comparisons],
    }


def _reference(client: MlflowClient, name: str, reference: str) -> str:
    """Number of the pinned version; "" where there is none yet."""
    if reference != FIRST:
        return str(model_version(client, name, reference).version)
    existing = {str(version.version) for version in listed_versions(client, name)}
    return next((entry.after for entry in read_journal(client, name).entries if entry.after in existing), "")


def _kept(client: MlflowClient, name: str, version: str) -> Kept:
    from mlflow.exceptions import MlflowException

    from pipeline.decision.kept import read_kept

    run = str(model_version(client, name, version).run_id)
    with tempfile.TemporaryDirectory() as scratch, _named(f"{name} version {version}"):
        try:
            folder = Path(client.download_artifacts(run, PROTOCOL, scratch))
            present = any(folder.iterdir())
        except (MlflowException, OSError):
            present = False
        if not present:
            raise GateError(
                f"not comparable: version {version} was registered without its protocol fits, which are needed to "
                "classify other images with it; promote with --force --reason TEXT, or name another promote.reference"
            )
        return read_kept(folder)


def _facts(client: MlflowClient, name: str, version: str) -> GateFacts:
    text = model_version(client, name, version).tags.get(FACTS_TAG)
    if not text:
        raise GateError(
            f"{name}: version {version} has no tag {FACTS_TAG}; only versions registered by `register` can be judged"
        )
    return GateFacts.from_json(text)


@contextlib.contextmanager
def _named(what: str) -> Iterator[None]:
    """Say of which version an unreadable file is."""
    try:
        yield
    except (TrackingError, DataError) as error:
        raise GateError(f"not comparable: {what}: {error}") from None
