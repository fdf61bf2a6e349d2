"""The flows for parts of the graph."""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.flows import parts

ROOT = Path(__file__).resolve().parents[2]


def test_every_part_is_a_flow_on_stages_that_exist() -> None:
    stages = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
    flows = [parts.check_data, parts.split, parts.finetune, parts.evaluate, parts.export]
    assert [flow.name for flow in flows] == list(parts.PARTS)
    assert {stage for last in parts.PARTS.values() for stage in last} <= stages
    for flow, last in zip(flows, parts.PARTS.values(), strict=True):
        assert set(flow.parameters.properties) == {"root", "retries"}
        assert all(stage in flow.description for stage in last)
