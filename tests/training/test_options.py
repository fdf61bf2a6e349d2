"""Every open choice of the method is a key of params.yaml, and reaches what is computed."""

from __future__ import annotations

import copy
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
import yaml
from train import train

from pipeline.croft.options import Objective, Penalty
from pipeline.errors import ParamsError
from pipeline.methods.adapters import PENALTIES, penalty
from pipeline.methods.contract import ClassSet
from pipeline.methods.settings import check_methods, method_options, options, record
from pipeline.params import parse_params
from pipeline.params.finetune import Finetune
from pipeline.params.section import Section
from pipeline.training.runs import Run
from pipeline.training.stack import Data, Stack
from pipeline.training.views import as_source

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())
GOLDENS = ROOT / "tests" / "goldens"
SETUP_I = {"penalty_batch": "sum", "penalty_entries": "mean"}


def from_params(shared: dict[str, Any], own: dict[str, Any] | None = None) -> Section:
    """The settings of one method, through params.yaml as a stage reads it."""
    content = copy.deepcopy(SHIPPED)
    content["finetune"] |= shared | {"methods": {"croft": own or {}}}
    return method_options(check_methods(parse_params(content)).finetune, "croft")


def allowed(model: type, name: str) -> set[object]:
    """The values that an annotation lists; true and false of a bool."""
    hint = get_type_hints(model)[name]
    choices = {value for part in (hint, *get_args(hint)) for value in get_args(part) if isinstance(value, str)}
    return choices or {True, False}


def test_every_option_is_a_key_with_the_same_choices() -> None:
    for choices, prefix in ((Penalty, "penalty_"), (Objective, "")):
        for choice in fields(choices):
            key = prefix + ("scaled" if choice.name == "scale" else choice.name)
            if prefix or key.startswith("covariate_"):
                assert allowed(Finetune, key) == allowed(choices, choice.name)
                assert key in SHIPPED["finetune"]


def test_null_is_what_the_preset_takes() -> None:
    assert penalty(from_params({}), 100.0) == Penalty()  # type: ignore[arg-type]
    released = Penalty(energy="exp-cosine", weights="shared")
    assert penalty(from_params({}, {"preset": "released"}), 100.0) == released  # type: ignore[arg-type]
    assert PENALTIES.keys() == allowed(Finetune, "preset")


def test_a_scaled_penalty_takes_the_logits_scale() -> None:
    assert penalty(from_params({"penalty_scaled": True}), 100.0) == Penalty(scale=100.0)  # type: ignore[arg-type]


def test_one_key_leaves_the_others_to_the_preset() -> None:
    found = from_params({"penalty_gradient": "sample"}, {"preset": "released"})
    expected = Penalty("exp-cosine", 1.0, "sample", "mean", "sum", "shared")
    assert penalty(found, 100.0) == expected  # type: ignore[arg-type]


def test_what_was_taken_is_recorded_by_the_keys_of_params() -> None:
    values = record(from_params({"penalty_scaled": True, "covariate_rows": "adapter"}))
    assert (values["penalty_scaled"], values["penalty_gradient"], values["covariate_rows"]) == (
        True,
        "batch",
        "adapter",
    )
    assert set(values) - {"kind", "train"} <= set(Finetune.model_fields)
    again = options({key: value for key, value in values.items() if key != "train"})
    assert record(again) == values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty_gradient": "rows"}, "finetune.penalty_gradient: Input should be 'batch' or 'sample', found 'rows'"),
        ({"penalty_scaled": "yes"}, "finetune.penalty_scaled: Input should be a valid boolean, found 'yes'"),
        ({"penalty_sacled": True}, "unknown key 'finetune.penalty_sacled'; did you mean 'penalty_scaled'?"),
        ({"penalty_energy": "exp-cosine"}, "methods.croft: penalty_energy: 'exp-cosine' is the authors' code"),
        ({"preset": "released", "generator": False}, "methods.croft: generator: false is not a choice of the released"),
        ({"generator_steps": 0}, "methods.croft: generator_steps: the paper preset needs at least 1"),
    ],
)
def test_wrong_choices_are_named_before_anything_runs(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        from_params(change)
    assert message in str(caught.value)


def small(settings: Section) -> np.ndarray:
    """The image weight after two epochs on 24 images of 3 classes."""
    source, labels = np.random.default_rng(5), np.arange(24) % 3
    centres = source.normal(size=(3, 8))
    images = (centres[labels] + source.normal(size=(24, 8))).astype(np.float32)
    one = Run("m", "t", 1, settings, np.arange(16), labels[:16], np.arange(16, 24), labels[16:])
    text = (centres + source.normal(size=(3, 8))).astype(np.float32)
    data: dict[str, Any] = {"clean": images, "text": text, "logit_scale": 8.0, "dtype": "float64"}
    return train([one], views=images[:, None], **data)[0].head.arrays["image_weight"]


CHANGES = [
    {"penalty_scaled": True},
    {"penalty_gradient": "sample"},
    {"penalty_batch": "sum"},
    {"penalty_entries": "mean"},
    {"penalty_weights": "shared"},
    {"covariate_weight": "lambda_1"},
    {"covariate_rows": "adapter"},
    {"preset": "released"},
    {"preset": "released", "covariate_branch": False},
    {"preset": "released", "penalty_energy": "logsumexp"},
    {"preset": "released", **SETUP_I},
]


def test_each_choice_trains_something_else_and_the_form_the_same() -> None:
    base = {"epochs": 2, "batch_size": 8, "lambda_1": 2.0, "lambda_2": 0.5, "select": "last"}
    plain = small(from_params(base))
    found = [plain, *(small(from_params(base | change)) for change in CHANGES)]
    for place, one in enumerate(found):
        for other in found[:place]:
            assert np.abs(one - other).max() > 1e-6
    np.testing.assert_allclose(small(from_params(base | {"penalty_form": "double-backward"})), plain, rtol=1e-9)


@pytest.mark.parametrize(
    ("file", "choices"),
    [
        ("imagenet46_1shot", SETUP_I),
        ("imagenet46_32shot", SETUP_I),
        ("pacs_vit", {}),
        ("pacs_rn50_no_generator", {}),
        ("vlcs", {"covariate_branch": False}),
    ],
)
def test_params_reach_every_formula_of_the_authors_code(file: str, choices: dict[str, Any]) -> None:
    """The first two losses of the authors' own training, from nothing but keys of params.yaml."""
    with np.load(GOLDENS / f"released_{file}.npz", allow_pickle=False) as arrays:
        golden = {name: arrays[name] for name in arrays.files}
    numbers = {name: float(golden[name]) for name in ("ratio_image", "ratio_text", "lr", "momentum", "weight_decay")}
    # Two epochs of one mini-batch: the warm-up rate and the top of the cosine are the constant rate of the file.
    settings = from_params(
        {
            "preset": "released", "epochs": 2, "batch_size": len(golden["labels"]), "warmup_lr": numbers["lr"],
            "lambda_1": float(golden["lambda1"]), "lambda_2": float(golden["lambda2"]),
            "generator_steps": int(golden["generator_steps"]), **numbers, **choices,
        }
    )  # fmt: skip
    rows, none = np.arange(len(golden["labels"])), np.zeros(0, np.int64)
    one = Run("m", "t", 1, settings, rows, golden["labels"], none, none)
    batches, text = golden["image_features"], torch.from_numpy(golden["text_features"])
    data = Data(as_source(batches.transpose(1, 0, 2), "cpu"), torch.from_numpy(batches[0]))
    stack = Stack([one], data, {one.classes: ClassSet(text, float(golden["logit_scale"]))})
    for learnt, name in (("image_weight", "W_image"), ("text_weight", "W_text"), ("generator", "G")):
        stack.learnt[learnt].copy_(torch.from_numpy(golden[name])[None])
    (found,) = stack.train(lambda _: None)
    assert [row["loss"] for row in found.history] == pytest.approx(golden["step_losses"][:2].tolist(), rel=1e-9)
