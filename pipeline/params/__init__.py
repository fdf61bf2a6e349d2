"""params.yaml as frozen typed values; an unknown key is refused, with the nearest known key as a hint."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from pipeline.errors import ParamsError
from pipeline.params.choice import AUTO, OF_WORDS, Choose, Export
from pipeline.params.finetune import Finetune
from pipeline.params.section import Count, Names, Rate, Section, Seeds, first_problem, frozen
from pipeline.params.yaml_text import parse_yaml

PARAMS_FILE = Path("params.yaml")
_MAX_BYTES = 1_000_000  # a params file has a few kilobytes; anything larger is a mistake

Device = Literal["auto", "cuda", "cpu"]


class Compute(Section):
    """Where the tensors live; `cuda` without a CUDA device is an error, never a silent CPU run."""

    device: Device = "auto"


def _groups(value: Any) -> Any:
    return tuple(frozen(group) for group in value) if isinstance(value, list) else value


Check = Literal[
    "complete",
    "refused",
    "empty_class",
    "large_enough",
    "known_format",
    "convertible_mode",
    "whole_files",
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
    "class_names_catch_all",
    "open_set_disjoint",
    "pools_disjoint",
]
"""Ids of the checks of the data; docs/data-quality.md explains each."""

FATAL: tuple[Check, ...] = (
    "complete",
    "empty_class",
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


class Data(Section):
    """The folder of images, what counts as an image, and which faults stop a run."""

    root: str
    unknown: Names = ()
    on_bad_image: Literal["fail", "skip"] = "fail"
    fatal: Annotated[tuple[Check, ...], BeforeValidator(frozen)] = FATAL
    near_duplicate_distance: Annotated[int, Field(ge=0, le=7)] = 2
    synonyms: Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_groups)] = ()
    open_set_overlap: Literal["remove", "fail"] = "remove"
    min_side: Count = 16
    max_pixels: Count = 50_000_000
    workers: Count = 4


class Split(Section):
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


class BackboneParams(Section):
    """The frozen CLIP: an open_clip model name and a weights file under DVC; and its texts.

    words: for things that are no known class, as prompts call them; the open-set score neglabel needs some.
    """

    model: str
    weights: str
    prompts: Names = ("a photo of a {}.",)
    class_names: dict[str, str] = Field(default={})
    words: Annotated[Names, Field(max_length=20_000)] = ()

    @model_validator(mode="after")
    def _placeholders(self) -> BackboneParams:
        for prompt in self.prompts:
            if prompt.count("{}") != 1:
                raise ValueError(f"prompts: {prompt!r} must contain the placeholder {{}} exactly once")
        return self


class Featurize(Section):
    """How images become features: augmented views of train images, one clean view of every image.

    views: 0 stores none: `finetune` and `sweep` encode the images of a run again in every epoch.
    """

    views: Annotated[int, Field(ge=0)] = 8
    flip: bool = True
    min_area: Annotated[float, Field(gt=0.0, le=1.0)] = 0.08
    view_seed: int = 0
    batch_size: Count = 256
    precision: Literal["float32", "bfloat16"] = "float32"
    workers: Count = 4


class Sweep(Section):
    """A grid of settings of one method, tried by `croft sweep`; source validation chooses."""

    method: str = "croft"
    axes: dict[str, Annotated[tuple[Any, ...], BeforeValidator(frozen)]] = Field(
        default={"lambda_1": (1.0, 5.0, 10.0, 15.0, 20.0), "lambda_2": (1.0, 5.0, 10.0, 15.0, 20.0)}
    )

    @model_validator(mode="after")
    def _values(self) -> Sweep:
        if not self.axes:
            raise ValueError("axes: expected at least one setting with its values")
        for name, values in self.axes.items():
            if not values or len({str(value) for value in values}) != len(values):
                raise ValueError(f"axes.{name}: expected at least one value, all different")
        return self


class Evaluate(Section):
    """How results are summarised."""

    bootstrap: Annotated[int, Field(ge=100)] = 1000
    bins: Annotated[int, Field(ge=5)] = 40
    hessian_probes: Annotated[int, Field(ge=0)] = 64


class Register(Section):
    """The name of the model in the registry."""

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "croft"


class Margins(Section):
    """The loss in each metric that the gate tolerates, absolute, in the metric's unit (0 to 1)."""

    accuracy_id: Rate = 0.02
    accuracy: Rate = 0.02
    accuracy_worst: Rate = 0.03
    auroc: Rate = 0.02
    fpr95_id_positive: Rate = 0.05
    fpr95_ood_positive: Rate = 0.05
    decision: Rate = 0.03


class Promote(Section):
    """The gate between challenger and champion: both are measured on the same images (docs/promotion.md)."""

    superiority: Literal["accuracy", "auroc", "none"] = "accuracy"
    margins: Margins = Margins()
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    underpowered: Literal["hold", "allow"] = "hold"
    reference: Annotated[str, BeforeValidator(str)] = "first champion"
    resamples: Annotated[int, Field(ge=100)] = 1000
    near_duplicate_distance: Annotated[int, Field(ge=0, le=7)] = 2
    min_gain_over_zero_shot: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.0
    latency: Annotated[float, Field(gt=0.0)] | None = 1.5


class Params(Section):
    """The whole of params.yaml."""

    compute: Compute = Compute()
    data: Data
    split: Split = Split()
    backbone: BackboneParams
    featurize: Featurize = Featurize()
    finetune: Finetune
    choose: Choose = Choose()
    sweep: Sweep = Sweep()
    evaluate: Evaluate = Evaluate()
    export: Export = Export()
    register_: Register = Field(default=Register(), alias="register")
    promote: Promote = Promote()

    @model_validator(mode="after")
    def _joint(self) -> Params:
        if AUTO in self.finetune.methods:
            raise ValueError(f"finetune.methods: {AUTO!r} is reserved; call the method something else")
        if self.export.method not in (AUTO, *self.finetune.methods):
            raise ValueError(
                f"export.method: {self.export.method!r} is not {AUTO!r} and not one of finetune.methods: "
                f"{', '.join(self.finetune.methods)}"
            )
        if not self.choose.folds and AUTO in (self.export.method, self.export.score):
            raise ValueError("choose.folds: 0 leaves nothing to choose by; name export.method and export.score")
        if self.export.score == OF_WORDS and not self.backbone.words:
            raise ValueError(
                f"export.score: {OF_WORDS} needs backbone.words, a list of things that are no known class; "
                "name some, or choose another score"
            )
        if self.sweep.method not in self.finetune.methods:
            raise ValueError(
                f"sweep.method: {self.sweep.method!r} is not one of finetune.methods: "
                f"{', '.join(self.finetune.methods)}"
            )
        return self


def read_text(path: Path = PARAMS_FILE) -> str:
    """The text of params.yaml with the line ends that it has, without a byte order mark.

    Raises:
        ParamsError: the file is missing, too large or not UTF-8.
    """
    if not path.is_file():
        raise ParamsError(f"{path}: no such file; run this in the project's folder or below it")
    if path.stat().st_size > _MAX_BYTES:
        raise ParamsError(f"{path}: larger than {_MAX_BYTES:,} bytes; not a params file")
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ParamsError(
            f"{path}: UTF-16 text; DVC reads UTF-8 only: convert it with "
            f"`iconv -f UTF-16 -t UTF-8 {path} > utf8.yaml && mv utf8.yaml {path}`"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path}: not UTF-8: {error}") from None


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: the file is missing, is not a YAML mapping, or has an unknown key or a wrong value.
    """
    try:
        content = parse_yaml(read_text(path))
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse_params(content, str(path))


def parse_params(content: object, source: str = "params") -> Params:
    """Check parsed params; `source` names them in errors.

    Raises:
        ParamsError: as `load_params`.
    """
    if not isinstance(content, dict):
        raise ParamsError(f"{source}: expected a mapping of sections, found {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise ParamsError(f"{source}: {first_problem(error, Params)}") from None
