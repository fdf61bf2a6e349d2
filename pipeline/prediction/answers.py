"""The answer for one image, and its columns in every output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

COLUMNS = ("path", "label", "class", "probability", "score", "unknown", "error", "model")


class Answer(NamedTuple):
    """One image's answer; all of its fields but path and error are empty where there is none.

    Attributes:
        path: where the image lies.
        label: a class or `unknown`.
        class_: the most probable class, whether or not the image is unknown.
        probability: of that class.
        score: larger = more open-set.
        unknown: whether the score is above the threshold.
        error: why there is no answer; "" where there is one.
        top: (class, probability) of the most probable classes, if they were asked for.
    """

    path: str
    label: str | None = None
    class_: str | None = None
    probability: float | None = None
    score: float | None = None
    unknown: bool | None = None
    error: str = ""
    top: Sequence[tuple[str, float]] = ()


def text(value: str) -> str:
    """A text as UTF-8 can hold it: bytes of a file's name that are no UTF-8 become \\xff and the like."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        escaped = value.encode("utf-8", "surrogateescape") if _escaped(value) else value.encode("utf-8", "replace")
        return escaped.decode("utf-8", "backslashreplace")
    return value


def _escaped(value: str) -> bool:
    return all(not 0xD800 <= ord(char) <= 0xDFFF or 0xDC80 <= ord(char) <= 0xDCFF for char in value)


def record(answer: Answer, model: str) -> dict[str, object]:
    """COLUMNS and `top` of an answer, in their order; None where there is nothing."""
    return {
        "path": text(answer.path),
        "label": answer.label and text(answer.label),
        "class": answer.class_ and text(answer.class_),
        "probability": answer.probability,
        "score": answer.score,
        "unknown": answer.unknown,
        "error": text(answer.error) or None,
        "model": text(model),
        "top": [(text(name), value) for name, value in answer.top],
    }
