"""The deployed model and its threshold from a fit made by hand in two dimensions."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from heads import adapters_head

from pipeline.decision.fit import Limits
from pipeline.detection.scores.spaces import option_of
from pipeline.errors import DataError
from pipeline.export.deploy import deploy
from pipeline.features import Features
from pipeline.fits import Fits
from pipeline.tables import DEPLOY

ENERGY = option_of("energy")
ANGLES = (0.0, 30.0, 60.0, 90.0)  # degrees of the four validation images; the classes lie at 0 and 90


def features() -> Features:
    paths = [f"{number}.png" for number in range(5)]
    clean = [[3 * math.cos(math.radians(a)), 3 * math.sin(math.radians(a))] for a in ANGLES] + [[-1.0, -1.0]]
    return Features(
        index=pd.DataFrame({"path": paths, "view_row": [-1] * 5}),
        clean=np.array(clean, dtype=np.float32),
        views=np.zeros((0, 1, 2), np.float32),
        text=np.array([[2.0, 0.0], [0.0, 5.0]], np.float32),
        meta={"logit_scale": 10.0, "mean": [0.0] * 3, "std": [1.0] * 3, "classes": ["a", "b"]},
    )


def fits(diverged: bool = False) -> Fits:
    quarter_turn = [[0.0, -1.0], [1.0, 0.0]]
    rows = [
        {"fit": 0, "method": "turned", "target": DEPLOY, "seed": 7},
        {"fit": 1, "method": "plain", "target": DEPLOY, "seed": 7},
        {"fit": 2, "method": "plain", "target": "ink", "seed": 7},
    ]
    turned, eye, text = np.array(quarter_turn, np.float32), np.eye(2, dtype=np.float32), features().text
    plain = adapters_head(eye, eye, text, ratio_image=0.2, ratio_text=0.5, scale=10.0)
    heads = {
        0: adapters_head(turned, turned, text, ratio_image=1.0, ratio_text=0.0, scale=10.0),
        1: plain,
        2: plain,
    }
    return Fits(table=pd.DataFrame(rows).assign(diverged=diverged), heads=heads, history=pd.DataFrame())


def splits() -> pd.DataFrame:
    roles = ["validation"] * 4 + ["train"]
    return pd.DataFrame(
        {
            "target": DEPLOY, "seed": 7, "path": [f"{n}.png" for n in range(5)], "role": roles,
            "class": list("aabba"), "label": [0, 0, 1, 1, 0],
        }
    )  # fmt: skip


def score(angle: float) -> float:
    return -math.log(math.exp(10 * math.cos(math.radians(angle))) + math.exp(10 * math.sin(math.radians(angle))))


def test_threshold_accepts_the_share_of_validation_images() -> None:
    model, row, calibration = deploy(
        torch.nn.Identity(), features(), fits(), splits(), method="plain", option=ENERGY, limits=Limits(0.5)
    )
    # Adapters are the identity, so logits are 10 times the cosines with 0 and 90 degrees. At 0 and 90 degrees the
    # score is -ln(e^10 + 1); at 30 and 60 it is -ln(e^8.66 + e^5), which is larger: half lie at the first.
    assert calibration.threshold == pytest.approx(score(0.0), abs=1e-4)
    assert float(model.threshold) == calibration.threshold
    assert (calibration.images, calibration.accept) == (4, 0.5)
    assert calibration.accepted >= 0.5
    assert calibration.accuracy == 1.0
    assert row["fit"] == 1
    stricter = deploy(
        torch.nn.Identity(), features(), fits(), splits(), method="plain", option=ENERGY, limits=Limits(0.95)
    )[2]
    assert stricter.threshold == pytest.approx(score(30.0), abs=1e-4)
    assert stricter.accepted == 1.0


def test_the_methods_own_adapters_and_ratios_are_used() -> None:
    model, _, calibration = deploy(
        torch.nn.Identity(), features(), fits(), splits(), method="turned", option=ENERGY, limits=Limits(0.9)
    )
    # The image adapter turns every image by 90 degrees, the text ratio of 0 leaves the prototypes: images at 0 and 30
    # degrees come to 90 and 120 (class b), those at 60 and 90 to 150 and 180 (cosines with a -0.87, -1; with b 0.5, 0).
    probabilities, _ = model.decide(torch.from_numpy(features().clean[:4]))
    assert probabilities.argmax(dim=1).tolist() == [1, 1, 1, 1]
    assert calibration.accuracy == 0.5
    torch.testing.assert_close(model.prototypes, torch.eye(2), atol=1e-5, rtol=0)


def test_a_missing_or_diverged_fit_is_refused() -> None:
    tower = torch.nn.Identity()
    with pytest.raises(DataError, match="one fit of 'croft' on all domains, found 0"):
        deploy(tower, features(), fits(), splits(), method="croft", option=ENERGY, limits=Limits(0.9))
    with pytest.raises(DataError, match="has diverged"):
        deploy(tower, features(), fits(diverged=True), splits(), method="plain", option=ENERGY, limits=Limits(0.9))
    with pytest.raises(DataError, match="no validation images"):
        deploy(
            tower, features(), fits(), splits().assign(role="train"), method="plain", option=ENERGY, limits=Limits(0.9)
        )
