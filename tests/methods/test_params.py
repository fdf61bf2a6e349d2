"""Methods in params.yaml: each kind has its own keys."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ParamsError
from pipeline.methods.catalogue import METHODS
from pipeline.methods.settings import all_options, check_methods
from pipeline.params import load_params, parse_params

ROOT = Path(__file__).parents[2]


def with_method(**values: Any) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    changed: dict[str, Any] = copy.deepcopy(content)
    changed["finetune"]["methods"] = {"croft": {}, "other": values}
    return changed


def test_shipped_methods_become_settings_of_every_kind() -> None:
    shared = load_params(ROOT / "params.yaml").finetune
    found: dict[str, Any] = dict(all_options(shared))
    assert {settings.kind for settings in found.values()} == set(METHODS)
    assert found["linear-probe"].lr == shared.lr  # shared, and not replaced
    assert (found["croft"].lambda_2, found["adapters-generator"].lambda_2) == (shared.lambda_2, 0.0)
    assert not found["adapters-edr"].generator


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "linear-prob"}, "unknown kind 'linear-prob'; did you mean 'linear-probe'?"),
        ({"kind": "zzz"}, "unknown kind 'zzz'; known: adapters, zero-shot"),
        ({"kind": 3}, "unknown kind 3"),
        ({"kind": "clip-adapter", "reducton": 2}, "unknown key 'reducton'; did you mean 'reduction'?"),
        ({"kind": "linear-probe", "lambda_1": 2.0}, "unknown key 'lambda_1'"),
        ({"kind": "clip-adapter", "ratio_image": 1.5}, "ratio_image: Input should be less than or equal to 1"),
        ({"kind": "coop", "ratio_image": 0.2}, "unknown key 'ratio_image'"),
        ({"kind": "coop", "init": "zeros"}, "init: Input should be 'words' or 'random', found 'zeros'"),
        ({"kind": "coop", "context": 0}, "context: Input should be greater than or equal to 1"),
        ({"kind": "coop", "words": ""}, "words: String should have at least 1 character"),
        ({"kind": "coop", "clas_specific": True}, "unknown key 'clas_specific'; did you mean 'class_specific'?"),
        ({"kind": "tip-adapter", "lr": 0.1}, "unknown key 'lr'; known keys: kind, alpha, beta, select"),
    ],
)
def test_wrong_methods_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        check_methods(parse_params(with_method(**values), "params.yaml"), "params.yaml")
    assert message in str(caught.value)
    assert "methods.other" in str(caught.value)
