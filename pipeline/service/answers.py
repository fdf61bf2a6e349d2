"""Decisions as the JSON of /predict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from pipeline.service.model import Decision, Model
from pipeline.service.refusals import RefusalError


def prediction(model: Model, decision: Decision | str, top: int) -> dict[str, Any]:
    """One image's answer; with an error, everything else is null.

    Args:
        model: that decided.
        decision: or why there is none.
        top: how many classes to list, the most probable first.
    """
    if isinstance(decision, str):
        keys = ("label", "class", "probability", "score", "threshold", "unknown", "top")
        return {**dict.fromkeys(keys), "error": decision}
    order = (-decision.probabilities).argsort(kind="stable")[: max(top, 1)]
    listed = [{"class": model.classes[index], "probability": float(decision.probabilities[index])} for index in order]
    return {
        "label": model.label(decision),
        **listed[0],
        "score": decision.score,
        "threshold": model.threshold,
        "unknown": decision.unknown,
        "top": listed[:top],
        "error": None,
    }


def predictions(
    model: Model, request_id: str, decisions: Sequence[Decision | str], top: int, *, embedding: bool
) -> dict[str, Any]:
    """The whole answer of /predict."""
    rows = [prediction(model, decision, top) for decision in decisions]
    if embedding:
        for row, decision in zip(rows, decisions, strict=True):
            vector = None if isinstance(decision, str) else decision.embedding
            row["embedding"] = None if vector is None else vector.tolist()
    return {
        "model": model.source.name,
        "version": model.source.version,
        "request": request_id,
        "predictions": rows,
    }


def json_bytes(content: object) -> bytes:
    """JSON in UTF-8; text that is no Unicode, which JSON can hold, is escaped."""
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, allow_nan=False).encode("ascii")


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(json_bytes(content), status, headers, "application/json")


def error_response(refusal: RefusalError) -> Response:
    """The one form of every error: {"error": "..."}."""
    return json_response({"error": refusal.message}, refusal.status, refusal.headers)
