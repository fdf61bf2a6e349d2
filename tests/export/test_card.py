"""The card is plain JSON, and prediction can read what export writes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.backbone.protocol import Preprocessing
from pipeline.errors import DataError
from pipeline.export.card import make_card
from pipeline.export.deploy import Calibration, Upstream
from pipeline.features import Features
from pipeline.fits import Fits
from pipeline.serving.card import ServingCard, read_card
from pipeline.tables import DEPLOY


def card_of(classes: list[str], hashes: dict[str, str], kind: str = "adapters") -> dict[str, Any]:
    meta = {"classes": classes, "prompts": ["a photo of a {}."]}
    rows = [
        ("DEPLOY", 1, "one", 0, "train", "a"), ("DEPLOY", 1, "two", 1, "train", "b"),
        ("DEPLOY", 1, "two", 1, "validation", "c"), ("ink", 1, "one", 0, "train", "a"),
        ("ink", 1, "two", -1, "test_id", "b"),
    ]  # fmt: skip
    manifest = pd.DataFrame({"path": ["a", "b", "c"], "domain": ["ink", "chalk", "neon"], "pool": [""] * 3})
    made = Upstream(
        Features(pd.DataFrame(), np.zeros(0), np.zeros(0), np.zeros(0), meta),
        Fits(pd.DataFrame(), {}, pd.DataFrame()),
        pd.DataFrame(rows, columns=["target", "seed", "class", "label", "role", "path"]).replace("DEPLOY", DEPLOY),
        manifest,
        {"croft": {"accuracy": 0.8, "auroc": None}, "zero-shot": {"accuracy": 0.7}},
        {"method": "croft", "score": "gen@both", "reason": "the best of 2"},
        hashes,
    )
    preprocessing = Preprocessing(48, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    backbone: Any = SimpleNamespace(name="croft-small", weights_sha256="a" * 64, preprocessing=preprocessing)
    return make_card(
        backbone,
        made,
        pd.Series({"method": "croft", "kind": kind, "settings": '{"lambda_1": 15.0}'}),
        Calibration(-12.5, 0.95, 0.96, 25, 0.9),
        class_names={"two": "number two"},
        graph="c" * 64,
        opset=18,
        parity={"passed": True},
    )


def test_prediction_reads_what_export_writes(tmp_path: Path) -> None:
    card = card_of(["one", "two"], {"manifest": "b" * 64})
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card, allow_nan=False))
    assert read_card(path) == ServingCard(("one", "two"), 48, -12.5)
    assert json.loads(path.read_text()) == card
    assert card["class_names"] == {"one": "one", "two": "number two"}
    assert card["sha256"] == {"weights": "a" * 64, "manifest": "b" * 64, "graph": "c" * 64}
    assert (card["targets"], card["known_classes"]) == (["ink"], 1)
    assert (card["metrics"], card["settings"]) == ({"accuracy": 0.8, "auroc": None}, {"lambda_1": 15.0})
    assert card["domains"] == ["chalk", "ink"]  # neon has validation images only
    assert card["prompts"] == ["a photo of a {}."]
    assert card_of(["one", "two"], {}, kind="coop")["prompts"] == []
    assert card["paper"]["venue"] == "ICML"
    assert set(card["created_by"]) == {"torch", "open_clip_torch", "onnx", "onnxscript"}


@pytest.mark.parametrize(
    ("classes", "hashes", "message"),
    [
        (["one"], {}, "two or more different classes"),
        (["one", "one"], {}, "two or more different classes"),
        (["one", "two"], {"wieghts": "a"}, "unknown hash 'wieghts'; expected some of weights"),
    ],
)
def test_wrong_cards_are_refused(classes: list[str], hashes: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        card_of(classes, hashes)
