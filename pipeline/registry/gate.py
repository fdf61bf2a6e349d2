"""What a version says of itself, and the verdict on it. Pure; the comparison of two versions is in pipeline/gate/."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from pipeline.errors import GateError
from pipeline.tables import IN_DISTRIBUTION, MEAN

FACTS_TAG, VERDICT_TAG = "gate.facts", "gate.verdict"
"""Of a version: what the gate knows about it, and what it said."""
_ROUNDING = 1e-9  # a drop of exactly the limit passes despite rounding


@dataclass(frozen=True)
class GateFacts:
    """What the gate knows about one version.

    Attributes:
        accuracy: mean over held-out domains, 0 to 1.
        auroc: open-set AUROC, mean over held-out domains and open sets, 0 to 1; None where there is no open set.
        reference_accuracy: of the untrained reference on the same images, 0 to 1; None where it was not run.
        parity: whether the exported graph agrees with the trained model.
        classes, targets: known classes and held-out domains.
        known_classes: how many of the classes each measured fit knows; 0 where it is not known.
        open_sets: AUROC of each open set, (name, number), by name.
        data: hash of the manifest; "" where it is not known.
    """

    accuracy: float
    auroc: float | None
    reference_accuracy: float | None
    parity: bool
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    data: str = ""
    known_classes: int = 0
    open_sets: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> str:
        """As text for a tag."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> GateFacts:
        """Read what `to_json` wrote.

        Raises:
            GateError: the text is not such facts.
        """
        try:
            values = json.loads(text)
            lists = {key: tuple(values[key]) for key in ("classes", "targets")}
            return cls(**{**values, **lists, "open_sets": tuple((n, v) for n, v in values["open_sets"])})
        except (ValueError, TypeError, KeyError):
            raise GateError("the gate's facts are unreadable; register the model again") from None


class Check(NamedTuple):
    """One line of a verdict."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Whether the version may become champion.

    Attributes:
        passed: every check holds, or it was forced.
        reasons: the checks, in the order of reading.
        forced: a check failed and a person overruled it.
        reason: the reason that the person gave.
        version, champion: the version that was judged, and the champion at that time ("" for none).
        promoted: it became champion by this very judgement.
        gate: the how many-th version it is that is judged against this champion; 0 where none was compared.
        table: the whole comparison, {markdown, checks, comparisons}; too long for a tag.
    """

    passed: bool
    reasons: tuple[Check, ...]
    forced: bool = False
    reason: str = ""
    version: str = ""
    champion: str = ""
    promoted: bool = field(default=False)
    gate: int = 0
    table: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, most: int = 5000) -> str:
        """As text for a tag; sentences are cut where there would be more than `most` characters.

        It holds no table, and not what became of the version: it is stored before the alias moves.
        """
        content = {key: value for key, value in asdict(self).items() if key not in ("table", "promoted")}
        for length in (most, 200, 120, 60, 20):
            content["reasons"] = [(name, passed, words[:length]) for name, passed, words in self.reasons]
            content["reason"] = self.reason[:length]
            text = json.dumps(content, sort_keys=True)
            if len(text) <= most:
                break
        return text


def facts(
    metrics: Mapping[str, Any],
    *,
    method: str,
    reference: str,
    classes: tuple[str, ...],
    targets: tuple[str, ...],
    parity: bool,
    data: str = "",
    known_classes: int = 0,
) -> GateFacts:
    """Facts of the deployed method.

    Args:
        metrics: content of metrics.json, {method: {held-out domain or "mean": numbers}}, where numbers are
            {metric: number or null} and open_sets, {name: numbers of that open set}.
        method, reference: the deployed method, and the untrained one that it is compared with.
        classes, targets, parity, data, known_classes: as in `GateFacts`.
    Raises:
        GateError: the method has no accuracy there.
    """
    row = metrics.get(method, {}).get(MEAN, {})
    accuracy = _number(row.get("accuracy"))
    if accuracy is None:
        raise GateError(f"metrics: no mean accuracy of {method!r}; run `dvc repro evaluate`")
    return GateFacts(
        accuracy=accuracy,
        auroc=_number(row.get("auroc")),
        reference_accuracy=_number(metrics.get(reference, {}).get(MEAN, {}).get("accuracy")),
        parity=parity,
        classes=tuple(sorted(classes)),
        targets=tuple(sorted(targets)),
        data=data,
        known_classes=known_classes,
        open_sets=tuple(
            (name, number)
            for name, value in sorted(_auroc_by_open_set(row).items())
            if (number := _number(value)) is not None
        ),
    )


def _auroc_by_open_set(row: Mapping[str, Any]) -> dict[str, Any]:
    """Reads the numbers of a method; files written before `open_sets` was a key of its own have `auroc/NAME`."""
    if "open_sets" in row:
        return {name: numbers.get("auroc") for name, numbers in row["open_sets"].items()}
    return {key.removeprefix("auroc/"): value for key, value in row.items() if key.startswith("auroc/")}


def absolute(candidate: GateFacts, least_gain: float) -> list[Check]:
    """What holds of a version without any other.

    Args:
        candidate: the version to judge.
        least_gain: in accuracy over the untrained reference, 0 to 1.
    """
    return [_parity(candidate), _gain(candidate, least_gain)]


def _parity(candidate: GateFacts) -> Check:
    words = "agrees" if candidate.parity else "does not agree"
    return Check("parity", candidate.parity, f"the exported graph {words} with the trained model")


def _gain(candidate: GateFacts, least: float) -> Check:
    if candidate.reference_accuracy is None:
        return Check("gain", True, "zero-shot was not run; gain not checked")
    gain = candidate.accuracy - candidate.reference_accuracy
    sentence = (
        f"{_accuracy(candidate)} {candidate.accuracy:.4f}, zero-shot {candidate.reference_accuracy:.4f}: "
        f"gain {gain:+.4f}, at least {least:+.4f} is required"
    )
    return Check("gain", gain >= least - _ROUNDING, sentence)


def _accuracy(version: GateFacts) -> str:
    unseen = version.targets == (IN_DISTRIBUTION,)
    return "accuracy on unseen images" if unseen else "accuracy on held-out domains"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
