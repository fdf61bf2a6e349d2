"""What all sections of params.yaml share: value types, strictness, and errors that name the key."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.phrases import counted, suggest

Rate = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


def frozen(value: Any) -> Any:
    """A list as a tuple."""
    return tuple(value) if isinstance(value, list) else value  # YAML has lists only


Names = Annotated[tuple[str, ...], BeforeValidator(frozen)]
Seeds = Annotated[tuple[int, ...], BeforeValidator(frozen)]


class Section(BaseModel):
    """A frozen section: unknown keys are refused, and no value is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """The error in one line: the key, what is wrong, and for an unknown key the nearest known one."""
    # Unknown keys first: a misspelt key usually causes the "missing key" that pydantic lists before it.
    problems = sorted(error.errors(include_url=False), key=lambda p: p["type"] != "extra_forbidden")
    problem = problems[0]
    more = f" (and {counted(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""
    key = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        return f"unknown key {key!r}; {suggest(problem['loc'][-1], known, label='known keys')}{more}"
    if problem["type"] == "value_error":
        return f"{key}.{message}{more}" if key else f"{message}{more}"
    if problem["type"] == "missing":
        return f"missing key {key!r}{more}"
    hint = "; a name that YAML reads as another value needs quotes" if problem["type"] == "string_type" else ""
    return f"{key}: {message}, found {problem['input']!r}{hint}{more}"


def _known_keys(model: type[BaseModel], parents: tuple[int | str, ...]) -> list[str]:
    for parent in parents:
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == parent), None)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
