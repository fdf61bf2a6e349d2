"""What A and B of `croft compare A B` may be, and which of the three kinds a text is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ParamsError

Kind = Literal["workspace", "revision", "version", "run"]
GRAMMAR = (
    "a git revision (main, v1.2, HEAD~1) or the name of a DVC experiment; a version of the registered model "
    "(3, croft/3 or croft@champion); or the id of an MLflow run (32 hex digits)"
)
_RUN = r"[0-9a-f]{32}"
_VERSION = r"(?P<prefix>models:/)?(?P<model>[^/@]+)(?:/(?P<number>\d+)|@(?P<alias>[A-Za-z0-9_.-]+))"


@dataclass(frozen=True)
class Reference:
    """One of the two.

    Attributes:
        kind: what it is.
        text: the revision, the version's number or alias, or the run's id; "" for the workspace.
        model: name of the registered model; "" for other kinds.
    """

    kind: Kind
    text: str = ""
    model: str = ""


def parse_reference(text: str, model: str) -> Reference:
    """Read a reference; the form alone decides, so that it means the same in every workspace.

    One to six digits alone are a version (git abbreviates commits to seven or more), 32 hex digits a run. NAME/NUMBER
    and NAME@ALIAS are a version where NAME is the registered model, or with models:/ in front; otherwise, as everything
    else, a git revision (feature/3).

    Args:
        text: as typed.
        model: name of the registered model (register.model).
    Raises:
        ParamsError: it is empty or looks like an option.
    """
    if re.fullmatch(r"\d{1,6}", text):
        return Reference("version", text, model)
    if re.fullmatch(_RUN, text):
        return Reference("run", text)
    version = re.fullmatch(_VERSION, text)
    if version and (version["prefix"] or version["model"] == model):
        return Reference("version", version["number"] or version["alias"], version["model"])
    if not text or text.startswith(("-", "models:/")):
        raise ParamsError(f"{text!r}: expected {GRAMMAR}")
    return Reference("revision", text)
