"""`croft sweep --set`: keys that are changed for one sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.cli.sweep import changed
from pipeline.errors import ParamsError
from pipeline.methods.settings import method_options
from pipeline.params import Params, load_params

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def params() -> Params:
    return load_params(PARAMS)


def test_nothing_changed_is_the_file(params: Params) -> None:
    assert changed(params, []) == params


def test_values_are_json_or_yaml_and_the_rest_stays(params: Params) -> None:
    found = changed(
        params,
        [
            "sweep.axes={lr: [0.01, 0.05], covariate_rows: [adapter]}",
            "sweep.axes.weight_decay=[1e-3, 0.1]",
            "finetune.epochs=5",
            "finetune.penalty_scaled=true",
            "finetune.methods.croft.lambda_1=2.5",
            "compute.device=cpu",
        ],
    )
    assert found.sweep.axes == {"lr": (0.01, 0.05), "covariate_rows": ("adapter",), "weight_decay": (0.001, 0.1)}
    assert (found.finetune.epochs, found.finetune.penalty_scaled, found.compute.device) == (5, True, "cpu")
    assert method_options(found.finetune, "croft").lambda_1 == 2.5
    assert found.finetune.lambda_1 == params.finetune.lambda_1
    assert found.split == params.split
    assert params.finetune.epochs == yaml.safe_load(PARAMS.read_text())["finetune"]["epochs"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lr", "--set lr: expected section.key=value"),
        ("epochs=5", "--set epochs=5: expected section.key=value"),
        ("split.shots=4", "--set split.shots=4: a sweep can change keys of compute, finetune, sweep, choose only"),
        ("finetune.epochs.x=1", "finetune.epochs holds no keys"),
        ("sweep.axes={lr: [0.1", "the value is not valid YAML"),
        ("sweep.axes.lrr=[0.1]", "--set: sweep.axes.lrr: unknown key 'lrr'; did you mean 'lr'?"),
        ("sweep.axes.lr=[]", "axes.lr: expected at least one value"),
        ("finetune.epoch=5", "unknown key 'finetune.epoch'; did you mean 'epochs'?"),
        ("finetune.lr=fast", "finetune.lr: Input should be a valid number, found 'fast'"),
        ("finetune.lr=NaN", "finetune.lr"),
    ],
)
def test_wrong_changes_are_named(params: Params, change: str, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        changed(params, [change])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
