"""What a model card says, as data: chosen from card.json and from what the registry tracked. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.tables import MEAN

FORMAT = 1
_NUMBERS = ("accuracy", "auroc", "fpr95_id_positive", "fpr95_ood_positive")
_ENDINGS = ("", "_low", "_high", "_spread")
_COUNTS = ("n", "n_unknown", "seeds", "protocol")


@dataclass(frozen=True)
class Data:
    """The data set that a version was trained and measured on; what is not known is empty.

    Attributes:
        root: its folder in the project.
        md5: DVC's hash of its listing.
        version: its number among the versions of the data set.
        manifest_sha256: of the table of its images.
        images: how many.
        unknown: classes that training never saw.
    """

    root: str
    md5: str = ""
    version: int | None = None
    manifest_sha256: str = ""
    images: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of its folder."""
        return self.root.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class Tracked:
    """What the registry knows of a version beside card.json.

    Attributes:
        model, version: its name and number.
        registered: when, UTC, ISO 8601.
        run: MLflow's id of the run that registered it.
        tags: of the version.
        data: None where no run of the stage ingest is known.
        verdict: of the gate; None where none was given.
    """

    model: str
    version: str
    registered: str = ""
    run: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    data: Data | None = None
    verdict: Mapping[str, Any] | None = None


def card_facts(card: Mapping[str, Any], tracked: Tracked) -> dict[str, Any]:
    """All that the model card says. A value that was not tracked is None, or its list is empty.

    Args:
        card: content of card.json, perhaps of an earlier revision, which lacks keys.
        tracked: the rest.
    """
    metrics, score = card.get("metrics") or {}, card.get("score") or {}
    rows = [_row(name, numbers) for name, numbers in metrics.items() if isinstance(numbers, Mapping)]
    domains, mean = [row for row in rows if row["domain"] != MEAN], [row for row in rows if row["domain"] == MEAN]
    sets = [_row(name, numbers, "open_set") for name, numbers in (metrics.get(MEAN) or {}).get("open_sets", {}).items()]
    tags, data = tracked.tags, tracked.data
    return {
        "format": FORMAT,
        "model": tracked.model,
        "version": tracked.version,
        "registered": tracked.registered or None,
        "task": card.get("task"),
        "pipeline_tag": "image-classification",
        "classes": list(card.get("classes") or []),
        "class_names": {key: name for key, name in (card.get("class_names") or {}).items() if key != name},
        "prompts": list(card.get("prompts") or []),
        "method": {
            "name": card.get("method"),
            "settings": card.get("settings"),
            "reason": (card.get("choice") or {}).get("reason"),
        },
        "score": {"name": score.get("name"), "direction": score.get("direction"), "paper": score.get("paper")},
        "threshold": {
            "value": card.get("threshold"),
            "kind": card.get("threshold_kind"),
            "target": card.get("accept"),
            "accepted": card.get("accepted"),
            "images": card.get("calibration_images"),
            "notes": card.get("calibration_notes") or None,
            "temperature": card.get("temperature"),
        },
        "image": {key: card.get(name) for key, name in _IMAGE.items()},
        "backbone": {"name": card.get("backbone"), "weights_sha256": (card.get("sha256") or {}).get("weights")},
        "training_domains": list(card.get("domains") or []),
        "held_out": list(card.get("targets") or []),
        "data": None
        if data is None
        else {
            "name": data.name,
            "root": data.root,
            "version": data.version,
            "md5": data.md5 or None,
            "manifest_sha256": data.manifest_sha256 or None,
            "images": data.images,
            "unknown_classes": list(data.unknown),
        },
        "mean": mean[0] if mean else None,
        "domains": domains,
        "open_sets": sets,
        "limits": {
            "worst_domain": _extreme(domains, "accuracy", least=True),
            "worst_domain_unknown": _extreme(domains, "auroc", least=True),
            "open_set_least_rejected": _extreme(sets, "fpr95_id_positive", least=False),
        },
        "parity": {key: (card.get("parity") or {}).get(key) for key in ("passed", "provider", "validation_images")},
        "variants": {name: entry.get("recipe") for name, entry in (card.get("variants") or {}).items()},
        "sha256": dict(card.get("sha256") or {}),
        "lineage": {"run": tracked.run or None}
        | {key: tags.get(key) or None for key in ("git_commit", "git_dirty", "lock_sha256", "params_sha256")},
        "gate": dict(tracked.verdict) if tracked.verdict else None,
        "created_by": dict(card.get("created_by") or {}),
        "paper": card.get("paper"),
    }


_IMAGE = {"size": "image_size", "mean": "mean", "std": "std", "transform": "transform"}


def _row(name: str, numbers: Mapping[str, Any], kind: str = "domain") -> dict[str, Any]:
    keys = [f"{metric}{ending}" for metric in _NUMBERS for ending in _ENDINGS]
    row: dict[str, Any] = {kind: name}
    row |= {key: float(numbers[key]) for key in keys if _finite(numbers.get(key))}
    return row | {key: numbers[key] for key in _COUNTS if numbers.get(key) is not None}


def _extreme(rows: list[dict[str, Any]], key: str, *, least: bool) -> dict[str, Any] | None:
    """The row that is worst in a metric; None where there are not two to compare."""
    measured = [row for row in rows if key in row]
    if len(measured) < 2:
        return None
    return (min if least else max)(measured, key=lambda row: row[key])


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
