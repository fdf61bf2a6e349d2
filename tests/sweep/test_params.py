"""A wrong grid is refused by name when params.yaml is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import ParamsError
from pipeline.methods.settings import check_methods
from pipeline.params import Sweep, parse_params

PARAMS = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())


def parsed(sweep: dict[str, Any]) -> Sweep:
    return check_methods(parse_params({**PARAMS, "sweep": sweep})).sweep


@pytest.mark.parametrize(
    ("sweep", "says"),
    [
        ({"method": "nothing"}, "sweep.method: 'nothing' is not one of finetune.methods"),
        ({"axes": {}}, "axes: expected at least one setting"),
        ({"axes": {"lambda_1": []}}, r"axes\.lambda_1: expected at least one value"),
        ({"axes": {"lambda_1": [1.0, 1.0]}}, r"axes\.lambda_1: expected at least one value, all different"),
        ({"axes": {"lamda_1": [1.0]}}, r"sweep\.axes\.lamda_1.*did you mean 'lambda_1'"),
        ({"axes": {"ratio_image": [0.5, 1.5]}}, r"sweep\.axes\.ratio_image"),
        ({"axes": {"kind": ["linear-probe"]}}, "cannot be swept"),
    ],
)
def test_wrong_grids(sweep: dict[str, Any], says: str) -> None:
    with pytest.raises(ParamsError, match=says):
        parsed(sweep)


def test_open_choices_of_the_method_can_be_axes() -> None:
    axes = {"penalty_gradient": ["batch", "sample"], "penalty_scaled": [False, True], "covariate_rows": ["adapter"]}
    assert parsed({"axes": axes}).axes == {name: tuple(values) for name, values in axes.items()}
    with pytest.raises(ParamsError, match=r"sweep\.axes\.penalty_gradient: .*'batch' or 'sample', found 'all'"):
        parsed({"axes": {"penalty_gradient": ["batch", "all"]}})


def test_the_default_is_the_papers_grid() -> None:
    # Setup I of the paper: λ1 and λ2 from 1, 5, 10, 15, 20.
    grid = [1.0, 5.0, 10.0, 15.0, 20.0]
    assert PARAMS["sweep"]["axes"] == {"lambda_1": grid, "lambda_2": grid}
