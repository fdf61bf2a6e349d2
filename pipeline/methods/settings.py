"""From params.yaml to the checked settings of each method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import ParamsError
from pipeline.methods.catalogue import METHODS
from pipeline.methods.contract import Method
from pipeline.params import PARAMS_FILE, Params, load_params
from pipeline.params.finetune import Finetune
from pipeline.params.section import Section, first_problem
from pipeline.phrases import suggest


def options(values: Mapping[str, Any]) -> Section:
    """Settings of plain values, their `kind` among them (adapters by default); what is missing takes its default.

    Raises:
        ParamsError: the kind is unknown, a key or value is wrong, or values exclude each other.
    """
    method = _method(values)
    model = method.options
    try:
        return model.model_validate({**values, "kind": method.kind})
    except ValidationError as error:
        raise ParamsError(first_problem(error, model)) from None


def method_options(finetune: Finetune, method: str, changes: Mapping[str, Any] | None = None) -> Section:
    """Settings of one method of params.yaml: those that are shared, as far as its kind has them, and its own.

    Args:
        method: one of `finetune.methods`.
        changes: replace settings of the method, as a point of a sweep does.
    Raises:
        ParamsError: as `options`.
    """
    written = dict(finetune.methods[method] or {})
    if written.pop("train", True) is False:  # the older way to write it
        written.setdefault("kind", "zero-shot")
    if "kind" in (changes or {}):
        raise ParamsError("kind: a method's kind cannot be swept")
    known = _method(written).options.model_fields
    shared = {key: value for key, value in finetune.model_dump().items() if key in known}
    return options({**shared, **written, **(changes or {})})


def all_options(finetune: Finetune) -> dict[str, Section]:
    """Settings of every method.

    Raises:
        ParamsError: as `options`, with the method's key.
    """
    settings = {}
    for method in finetune.methods:
        try:
            settings[method] = method_options(finetune, method)
        except ParamsError as error:
            raise ParamsError(f"finetune.methods.{method}: {error}") from None
    return settings


def check_methods(params: Params, source: str = str(PARAMS_FILE)) -> Params:
    """Params whose methods and sweep can be trained.

    Args:
        params: as read.
        source: the name that errors carry.
    Raises:
        ParamsError: naming the key.
    """
    try:
        all_options(params.finetune)
        for name, values in params.sweep.axes.items():
            for value in values:
                try:
                    method_options(params.finetune, params.sweep.method, {name: value})
                except ParamsError as error:
                    problem = str(error).removeprefix(f"{name}: ")
                    raise ParamsError(f"sweep.axes.{name}: {problem}") from None
    except ParamsError as error:
        raise ParamsError(f"{source}: {error}") from None
    return params


def load_checked(path: Path = PARAMS_FILE) -> Params:
    """Read params.yaml and check all of it, the methods' settings included.

    Raises:
        ParamsError: as `pipeline.params.load_params` and `check_methods`.
    """
    return check_methods(load_params(path), str(path))


def record(settings: Section) -> dict[str, Any]:
    """Settings as plain values for records, with what presets put in the place of None."""
    method = METHODS[settings.kind]  # type: ignore[attr-defined]
    return {"kind": method.kind} | (method.record(settings) if method.record else settings.model_dump())


def _method(values: Mapping[str, Any]) -> Method:
    kind = values.get("kind", "adapters")
    if not (isinstance(kind, str) and kind in METHODS):
        raise ParamsError(f"unknown kind {kind!r}; {suggest(kind, METHODS)}")
    return METHODS[kind]
