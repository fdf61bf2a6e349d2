"""What the routes share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request

from pipeline.service.bodies import Bodies
from pipeline.service.deciding import Deciding
from pipeline.service.following import Served
from pipeline.service.metrics import Metrics
from pipeline.service.model import Decision, Model
from pipeline.service.records import PredictionLog
from pipeline.service.settings import Settings

if TYPE_CHECKING:
    from pipeline.service.deciding import Image


@dataclass(frozen=True)
class Context:
    """One server's parts; `log` is None where predictions are not logged."""

    settings: Settings
    served: Served
    metrics: Metrics
    bodies: Bodies
    deciding: Deciding
    log: PredictionLog | None

    async def decide(
        self, request: Request, model: Model, images: Sequence[Image], *, embedding: bool
    ) -> list[Decision | str]:
        """Decide on the images of a request, and log it."""
        started = time.perf_counter()
        decisions = await self.deciding.decide(request, model, images)
        if self.log is not None:
            latency = time.perf_counter() - started
            self.log.add(model, request.state.request_id, decisions, latency, embedding=embedding)
        return decisions
