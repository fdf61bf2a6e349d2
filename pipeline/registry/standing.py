"""What a registered version becomes when its run is over: challenger, and champion where there is none yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, TrackingError
from pipeline.params import Promote
from pipeline.registry.gate import VERDICT_TAG, Verdict
from pipeline.registry.promotion import promote
from pipeline.registry.register import ensure_challenger
from pipeline.registry.registration import Registration, check_registration
from pipeline.registry.versions import CHALLENGER, CHAMPION, aliased, model_version, open_registry
from pipeline.tracking.client import reported


@dataclass(frozen=True)
class Standing:
    """Where a version stands in the registry.

    Attributes:
        model, version: the name of the registered model, and the version's number.
        champion: number of the version that is champion, "" for none.
        restored: an earlier run registered this version, and it was made challenger again.
        verdict: of the gate, where it was asked; else None.
        trouble: why the registration does not hold here, else "".
        elsewhere: another store made it.
    """

    model: str
    version: str
    champion: str = ""
    restored: bool = False
    verdict: Verdict | None = None
    trouble: str = ""
    elsewhere: bool = False

    @property
    def aliases(self) -> list[str]:
        """The aliases that the version carries; [] where the registry does not know it."""
        if self.trouble:
            return []
        return [CHALLENGER, *([CHAMPION] if self.champion == self.version else [])]


def settle_registration(
    registration: Registration, card: Path, *, limits: Promote, root: Path | None = None, promote_first: bool = True
) -> Standing:
    """Settle a registration that holds in the present store; errors and other arguments as in `settle`.

    Args:
        registration: comes with DVC's outputs, from this store or from another.
        card: card.json of the exported model.
    """
    try:
        # Outputs from a cache or a remote may name a version that is another model here.
        check_registration(registration, card, root=root)
    except TrackingError as error:
        return Standing(registration.model, registration.version, trouble=str(error), elsewhere=True)
    except DataError as error:
        return Standing(registration.model, registration.version, trouble=str(error))
    return settle(registration.model, registration.version, limits=limits, root=root, promote_first=promote_first)


def settle(
    name: str, version: str, *, limits: Promote, root: Path | None = None, promote_first: bool = True
) -> Standing:
    """Make a version challenger and, where the model has no champion, put it through the gate.

    Args:
        name: of the registered model.
        version: its number, as the stage `register` wrote it.
        limits: of the gate.
        root: the project; the working directory by default.
        promote_first: False to leave a model without a champion as it is.
    Raises:
        TrackingError: the registry failed, or does not know the version.
        GateError: the version was not registered by this pipeline.
    """
    client, uri = open_registry(root)
    restored = ensure_challenger(name, version, root=root)
    with reported(uri):
        champion = aliased(client, name, CHAMPION)
    verdict = None
    if not champion and promote_first:
        verdict = promote(name, version, limits=limits, reason="first version", root=root)
        champion = version if verdict.promoted else ""
    return Standing(name, version, champion, restored, verdict)


def is_judged(standing: Standing, *, root: Path | None = None) -> bool:
    """Whether the version carries a verdict against the champion that there is now.

    Raises:
        TrackingError: the registry failed, or does not know the version.
    """
    client, uri = open_registry(root)
    with reported(uri):
        text = model_version(client, standing.model, standing.version).tags.get(VERDICT_TAG, "")
    try:
        return bool(json.loads(text)["champion"] == standing.champion)
    except (ValueError, KeyError, TypeError):
        return False
