"""The card is plain JSON, and prediction can read what export writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import DataError
from pipeline.export.card import make_card
from pipeline.serving.card import ServingCard, read_card


def arguments(**change: Any) -> dict[str, Any]:
    return {
        "classes": ["one", "two"],
        "class_names": {"two": "number two"},
        "prompts": ["a photo of a {}."],
        "model": "croft-small",
        "method": "croft",
        "settings": {"lambda_1": 15.0},
        "threshold": -12.5,
        "accept": 0.95,
        "accepted": 0.96,
        "image_size": 48,
        "mean": (0.1, 0.2, 0.3),
        "std": (0.4, 0.5, 0.6),
        "hashes": {"weights": "a" * 64, "manifest": "b" * 64},
        "metrics": {"accuracy": 0.8, "auroc": None},
        "parity": {"passed": True},
        "opset": 18,
        "targets": ["ink"],
        **change,
    }


def test_prediction_reads_what_export_writes(tmp_path: Path) -> None:
    card = make_card(**arguments())
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card, allow_nan=False))
    assert read_card(path) == ServingCard(("one", "two"), 48, -12.5)
    assert json.loads(path.read_text()) == card
    assert card["class_names"] == {"one": "one", "two": "number two"}
    assert card["paper"]["venue"] == "ICML"
    assert set(card["created_by"]) == {"torch", "open_clip_torch", "onnx", "onnxscript"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["one"]}, "two or more different classes"),
        ({"classes": ["one", "one"]}, "two or more different classes"),
        ({"hashes": {"wieghts": "a"}}, "unknown hash 'wieghts'; expected some of weights"),
    ],
)
def test_wrong_cards_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_card(**arguments(**change))
