"""params.yaml as frozen typed values; every key is known, and a wrong one is named with its nearest neighbour."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import ParamsError

PARAMS_FILE = Path("params.yaml")
_MAX_BYTES = 1_000_000  # a params file is a few kilobytes; anything larger is a mistake

Device = Literal["auto", "cuda", "cpu"]
Rate = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # YAML has lists only


Names = Annotated[tuple[str, ...], BeforeValidator(_frozen)]
Seeds = Annotated[tuple[int, ...], BeforeValidator(_frozen)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Compute(_Section):
    """Where the tensors live; `cuda` without a CUDA device is an error, never a silent CPU run."""

    device: Device = "auto"


def _groups(value: Any) -> Any:
    return tuple(_frozen(group) for group in value) if isinstance(value, list) else value


Check = Literal[
    "complete",
    "refused",
    "large_enough",
    "known_format",
    "convertible_mode",
    "duplicates_within_class",
    "duplicates_across_classes",
    "duplicates_across_domains",
    "near_duplicates_across_classes",
    "near_duplicates_across_domains",
    "near_duplicates_across_splits",
    "enough_images",
    "class_balance",
    "class_names_distinct",
    "class_names_fit",
    "class_names_known",
    "open_set_disjoint",
    "pools_disjoint",
]
"""Ids of the checks of the data; docs/data-quality.md says what each of them means."""

FATAL: tuple[Check, ...] = (
    "complete",
    "large_enough",
    "known_format",
    "convertible_mode",
    "duplicates_within_class",
    "duplicates_across_classes",
    "duplicates_across_domains",
    "enough_images",
    "class_balance",
    "class_names_distinct",
    "class_names_fit",
    "open_set_disjoint",
    "pools_disjoint",
)


class Data(_Section):
    """The folder of images, what counts as an image, and which faults stop a run."""

    root: str
    unknown: Names = ()
    on_bad_image: Literal["fail", "skip"] = "fail"
    fatal: Annotated[tuple[Check, ...], BeforeValidator(_frozen)] = FATAL
    near_duplicate_distance: Annotated[int, Field(ge=0, le=7)] = 2
    synonyms: Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_groups)] = ()
    open_set_overlap: Literal["remove", "fail"] = "remove"
    min_side: Count = 16
    max_pixels: Count = 50_000_000
    workers: Count = 4


class Split(_Section):
    """Who may see what: few-shot fits that hold out a domain, classes or both, and the deploy fit."""

    shots: Count = 16
    shots_per: Literal["class_and_domain", "class"] = "class_and_domain"
    validation: Count = 8
    seeds: Seeds = (1, 2, 3)
    targets: Names = ()
    sources: Names = ()
    unknown_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @model_validator(mode="after")
    def _seeds(self) -> Split:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: expected at least one, all different")
        return self


class BackboneParams(_Section):
    """The frozen CLIP: an open_clip model name and a weights file under DVC."""

    model: str
    weights: str
    prompts: Names = ("a photo of a {}.",)
    class_names: dict[str, str] = {}

    @model_validator(mode="after")
    def _placeholders(self) -> BackboneParams:
        for prompt in self.prompts:
            if prompt.count("{}") != 1:
                raise ValueError(f"prompts: {prompt!r} must hold the placeholder {{}} exactly once")
        return self


class Featurize(_Section):
    """How images become features: augmented views of train images, one clean view of every image.

    views: 0 keeps none: `finetune` and `sweep` encode the images of a run anew at each of its epochs.
    """

    views: Annotated[int, Field(ge=0)] = 8
    flip: bool = True
    min_area: Annotated[float, Field(gt=0.0, le=1.0)] = 0.08
    view_seed: int = 0
    batch_size: Count = 256
    workers: Count = 4


class _Optimised(_Section):
    lr: Positive = 0.002
    warmup_lr: Positive = 1e-5
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    weight_decay: NotNegative = 0.1
    epochs: Count = 30
    batch_size: Annotated[int, Field(ge=2)] = 32
    select: Literal["source-val", "last"] = "source-val"


def preset_problem(preset: str, generator: bool, generator_steps: int, penalty_energy: str | None) -> str:
    """What a preset excludes among settings of adapters; "" where they go together."""
    if preset == "released" and not generator:
        return "generator: false is not a choice of the released preset; use preset: paper"
    if preset == "paper" and generator and generator_steps < 1:
        return "generator_steps: the paper preset needs at least 1, or generator: false"
    if preset == "paper" and penalty_energy == "exp-cosine":
        return (
            "penalty_energy: 'exp-cosine' is the authors' code and not the paper's energy; use preset: released, or "
            "penalty_energy: logsumexp"
        )
    return ""


class _Training(_Optimised):
    """Adapters; a `penalty_` key that is None takes the preset's own value (pipeline/croft/options.py)."""

    ratio_image: Rate = 0.2
    ratio_text: Rate = 0.5
    lambda_1: NotNegative = 15.0
    lambda_2: NotNegative = 10.0
    generator: bool = True
    generator_steps: Annotated[int, Field(ge=0)] = 1
    preset: Literal["paper", "released"] = "paper"
    covariate_weight: Literal["lambda_1", "one"] = "lambda_1"
    covariate_rows: Literal["generator", "adapter"] = "generator"
    covariate_branch: bool = True
    penalty_energy: Literal["logsumexp", "exp-cosine"] | None = None
    penalty_scaled: bool | None = None
    penalty_gradient: Literal["batch", "sample"] | None = None
    penalty_batch: Literal["mean", "sum"] | None = None
    penalty_entries: Literal["sum", "mean"] | None = None
    penalty_weights: Literal["separate", "shared"] | None = None
    penalty_form: Literal["closed", "double-backward"] | None = None
    train: bool = True


class _Adapters(_Training):
    kind: Literal["adapters"] = "adapters"

    @model_validator(mode="after")
    def _joint(self) -> _Adapters:
        problem = preset_problem(self.preset, self.generator, self.generator_steps, self.penalty_energy)
        if problem:
            raise ValueError(problem)
        return self


class _LinearProbe(_Optimised):
    kind: Literal["linear-probe"]
    optimizer: Literal["sgd", "adamw"] = "sgd"


class _ClipAdapter(_Optimised):
    kind: Literal["clip-adapter"]
    optimizer: Literal["sgd", "adamw"] = "sgd"
    ratio_image: Rate = 0.2
    reduction: Count = 4


class _TipAdapter(_Section):
    kind: Literal["tip-adapter"]
    alpha: NotNegative = 1.0
    beta: NotNegative = 5.5
    select: Literal["source-val", "last"] = "source-val"


class _TipAdapterF(_Optimised):
    kind: Literal["tip-adapter-f"]
    optimizer: Literal["sgd", "adamw"] = "adamw"
    alpha: NotNegative = 1.0
    beta: NotNegative = 5.5


class _Coop(_Optimised):
    kind: Literal["coop"]
    optimizer: Literal["sgd", "adamw"] = "sgd"
    init: Literal["words", "random"] = "words"
    words: Annotated[str, Field(min_length=1)] = "a photo of a"
    context: Count = 16
    class_specific: bool = False


_KINDS: dict[str, type[BaseModel]] = {
    "adapters": _Adapters,
    "linear-probe": _LinearProbe,
    "clip-adapter": _ClipAdapter,
    "tip-adapter": _TipAdapter,
    "tip-adapter-f": _TipAdapterF,
    "coop": _Coop,
}


class Finetune(_Training):
    """What all methods share; each method names its kind (adapters by default) and overrides some settings."""

    methods: dict[str, dict[str, Any]]

    @model_validator(mode="after")
    def _methods(self) -> Finetune:
        if not self.methods:
            raise ValueError("methods: expected at least one method")
        for name in self.methods:
            self.settings(name)
        return self

    def settings(self, method: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All settings of one method, those of its kind that are shared and its own, as plain values with its kind.

        Args:
            method: one of `methods`.
            changes: replace settings of the method, as a point of a sweep does.
        """
        own = self.methods[method] or {}
        kind = own.get("kind", "adapters")
        if kind not in _KINDS:
            near = difflib.get_close_matches(str(kind), _KINDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KINDS)}"
            raise ValueError(f"methods.{method}: unknown kind {kind!r}; {hint}")
        if "kind" in (changes or {}):
            raise ValueError("kind: a method's kind cannot be swept")
        model = _KINDS[kind]
        shared = {key: value for key, value in self.model_dump().items() if key in model.model_fields}
        try:
            return model.model_validate({**shared, **own, **(changes or {})}).model_dump()
        except ValidationError as error:
            raise ValueError(f"methods.{method}: {_first_problem(error, model)}") from None


class Sweep(_Section):
    """A grid of settings of one method, tried by `croft sweep`; source validation chooses."""

    method: str = "croft"
    axes: dict[str, Annotated[tuple[Any, ...], BeforeValidator(_frozen)]] = {
        "lambda_1": (1.0, 5.0, 10.0, 15.0, 20.0),
        "lambda_2": (1.0, 5.0, 10.0, 15.0, 20.0),
    }

    @model_validator(mode="after")
    def _values(self) -> Sweep:
        if not self.axes:
            raise ValueError("axes: expected at least one setting with its values")
        for name, values in self.axes.items():
            if not values or len({str(value) for value in values}) != len(values):
                raise ValueError(f"axes.{name}: expected at least one value, all different")
        return self


class Evaluate(_Section):
    """How results are summarised."""

    bootstrap: Annotated[int, Field(ge=100)] = 1000
    bins: Annotated[int, Field(ge=5)] = 40
    hessian_probes: Annotated[int, Field(ge=0)] = 64


class Export(_Section):
    """The deployed graph: which method, how often it may say unknown, how exact it must be."""

    method: str = "croft"
    accept: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    tolerance: Positive = 1e-4
    parity_images: Count = 64


class Register(_Section):
    """The registry's name for the model."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "croft"


class Promote(_Section):
    """The gate between challenger and champion; drops are absolute, in the metric's unit (0 to 1)."""

    max_accuracy_drop: Rate = 0.01
    max_auroc_drop: Rate = 0.01
    min_gain_over_zero_shot: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0


class Params(_Section):
    """The whole of params.yaml."""

    compute: Compute = Compute()
    data: Data
    split: Split = Split()
    backbone: BackboneParams
    featurize: Featurize = Featurize()
    finetune: Finetune
    sweep: Sweep = Sweep()
    evaluate: Evaluate = Evaluate()
    export: Export = Export()
    register_: Register = Field(default=Register(), alias="register")
    promote: Promote = Promote()

    @model_validator(mode="after")
    def _joint(self) -> Params:
        if self.export.method not in self.finetune.methods:
            raise ValueError(
                f"export.method: {self.export.method!r} is not one of finetune.methods: "
                f"{', '.join(self.finetune.methods)}"
            )
        if self.sweep.method not in self.finetune.methods:
            raise ValueError(
                f"sweep.method: {self.sweep.method!r} is not one of finetune.methods: "
                f"{', '.join(self.finetune.methods)}"
            )
        for name, values in self.sweep.axes.items():
            for value in values:
                try:
                    self.finetune.settings(self.sweep.method, {name: value})
                except ValueError as error:
                    raise ValueError(f"sweep.axes.{name}: {str(error).split(': ', 1)[-1]}") from None
        return self


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or holds an unknown or mistyped key or value.
    """
    if not path.is_file():
        raise ParamsError(f"{path}: no such file; run this from the project's root")
    if path.stat().st_size > _MAX_BYTES:
        raise ParamsError(f"{path}: larger than {_MAX_BYTES} bytes; this is no params file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse_params(content, str(path))


def parse_params(content: object, source: str = "params") -> Params:
    """Check already parsed params; `source` is the name that errors carry.

    Raises:
        ParamsError: as `load_params`.
    """
    if not isinstance(content, dict):
        raise ParamsError(f"{source}: expected a mapping of sections, found {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{source}: {_first_problem(error, Params)}") from None


def _first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    # Unknown keys first: a misspelt key usually causes the "missing key" that pydantic lists before it.
    problems = sorted(error.errors(include_url=False), key=lambda p: p["type"] != "extra_forbidden")
    problem = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    key = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {key!r}; {hint}{more}"
    if problem["type"] == "value_error":
        return f"{key}.{message}{more}" if key else f"{message}{more}"
    if problem["type"] == "missing":
        return f"missing key {key!r}{more}"
    return f"{key}: {message}, found {problem['input']!r}{more}"


def _known_keys(model: type[BaseModel], parents: tuple[int | str, ...]) -> list[str]:
    for parent in parents:
        field = next((f for n, f in model.model_fields.items() if (f.alias or n) == parent), None)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
