"""The flows by their names, and what a deployment's form knows of their parameters."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml
from prefect import Flow

from pipeline.errors import PipelineError
from pipeline.flows import parts
from pipeline.flows.promote import promote
from pipeline.flows.train import train
from pipeline.flows.version_data import version_data

ROOT = Path(__file__).resolve().parents[2]
FLOWS = [parts.build_splits, parts.finetune, parts.evaluate, parts.export, train, version_data, promote]


def test_every_flow_has_its_name_and_is_found_by_it() -> None:
    names = ["build-splits", "finetune", "evaluate", "export", "train", "version-data", "promote"]
    assert [flow.name for flow in FLOWS] == names
    for flow in FLOWS:  # as a worker finds it
        assert getattr(importlib.import_module(flow.fn.__module__), flow.__name__) is flow


def test_every_part_is_a_flow_on_stages_that_exist() -> None:
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    assert {stage for last in parts.PARTS.values() for stage in last} <= stages
    for flow, last in zip(FLOWS, parts.PARTS.values(), strict=False):
        assert set(flow.parameters.properties) == {"root", "revision", "data", "retries"}
        assert all(stage in flow.description for stage in last)


@pytest.mark.parametrize("flow", [train, promote])
def test_forms_offer_choices_and_refuse_the_rest(flow: Flow) -> None:
    assert {"auto", "ask", "never"} <= set(flow.parameters.properties["policy"]["enum"])
    flow.validate_parameters({"data": {"mine": "latest", "other": 2}})
    for wrong in ({"policy": "always"}, {"data": {"mine": 0}}, {"data": {"mine": "newest"}}, {"hours": 0}):
        with pytest.raises(Exception, match=next(iter(wrong))):
            flow.validate_parameters(wrong)


def test_a_revision_outside_a_checkout_is_refused(tmp_path: Path) -> None:
    from pipeline.flows.place import entered

    with (
        pytest.raises(PipelineError, match="only deployed flows get; run `croft deploy`"),
        entered(tmp_path, "main", {}),
    ):
        pass
    with entered(tmp_path, "", None) as checkout:
        assert checkout is None
