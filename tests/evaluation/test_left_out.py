"""What fits show on classes and domains that they have not seen, and the choice that rests on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from pipeline.detection.scores.spaces import option_of, options
from pipeline.errors import DataError
from pipeline.evaluation.choice import SEEN, UNSEEN, choose, rank, validation_accuracies
from pipeline.evaluation.left_out import left_out_numbers
from pipeline.features import Features
from pipeline.fits import Fits, Head
from pipeline.params.choice import SCORES
from pipeline.tables import DEPLOY, TEST_SHIFTED, TEST_UNKNOWN_ID, TRAIN, VALIDATION

CLASSES = [f"c{number}" for number in range(5)]
SCALE = 20.0
ROLES = [TRAIN] * 5 + [VALIDATION] * 2 + [TEST_SHIFTED] * 2


def splits() -> pd.DataFrame:
    """One fold: the last two classes are unknown to the fit, and have validation images only."""
    rows = [
        {"target": "t, fold 1", "seed": 1, "path": f"{name}/{place}", "role": role, "class": name, "label": label}
        for label, name in enumerate(CLASSES)
        for place, role in enumerate(ROLES)
    ]
    table = pd.DataFrame(rows).assign(open_set="")
    out = table["label"] >= 3
    table.loc[out, ["label", "role"]] = [-1, TEST_UNKNOWN_ID]
    return table


def features(swapped: bool = False) -> Features:
    """Every image lies near its class; classes are orthogonal. Swapped: one shifted image of c0 looks like c1."""
    draw, text = np.random.default_rng(0), np.eye(len(CLASSES), 16, dtype=np.float32)
    paths = [f"{name}/{place}" for name in CLASSES for place in range(len(ROLES))]
    images = np.repeat(text, len(ROLES), axis=0) + 0.02 * draw.normal(size=(len(paths), 16))
    if swapped:
        images[paths.index("c0/8")] = images[paths.index("c1/8")]
    index = pd.DataFrame({"path": paths, "view_row": range(len(paths))})
    images = images.astype(np.float32)
    return Features(index, images, images[:, None], text, {"classes": CLASSES, "logit_scale": SCALE})


def fits() -> Fits:
    """Zero-shot, and a head that cannot tell anything."""
    text = features().text[:3]
    heads = {
        number: Head("zero-shot", {"prototypes": prototypes}, {"scale": SCALE})
        for number, prototypes in enumerate((text, np.zeros_like(text)))
    }
    table = pd.DataFrame({"fit": [0, 1], "method": ["zero-shot", "blind"], "target": "t, fold 1", "seed": 1})
    return Fits(table.assign(diverged=False), heads, pd.DataFrame())


def test_a_score_is_right_where_the_head_tells_classes_apart() -> None:
    chosen = [option_of(name) for name in ("mcm", "energy@zero-shot", "knn")]
    result = left_out_numbers(fits(), splits(), features(), chosen).set_index(["method", "option"])
    assert (result.loc["zero-shot", "auroc"] == 1.0).all()
    assert result.loc[("blind", "mcm"), "auroc"] == 0.5  # its logits are all equal
    assert (result.loc[[("blind", "energy@zero-shot"), ("blind", "knn")], "auroc"] == 1.0).all()  # these do not ask it
    # Of three classes with two shifted images each, the blind head always says the first class.
    assert dict(result["accuracy"].groupby("method").first()) == {"zero-shot": 1.0, "blind": pytest.approx(1 / 3)}
    everything = left_out_numbers(fits(), splits(), features(), list(options()))
    assert len(everything) == 2 * len(list(options()))


def test_accuracy_is_that_on_the_domain_left_out() -> None:
    mistaken = left_out_numbers(fits(), splits(), features(swapped=True), [option_of("mcm")])
    assert mistaken["accuracy"].tolist()[0] == pytest.approx(5 / 6)
    table = splits()
    whole = left_out_numbers(fits(), table[table["role"] != TEST_SHIFTED], features(), [option_of("mcm")])
    assert whole["accuracy"].isna().all()


def test_diverged_fits_and_scores_that_cannot_be_fitted_are_left_out() -> None:
    lost = dataclasses.replace(fits(), table=fits().table.assign(diverged=[True, False]))
    assert set(left_out_numbers(lost, splits(), features(), [option_of("mcm")])["method"]) == {"blind"}
    no_words = left_out_numbers(fits(), splits(), features(), [option_of("mcm"), option_of("neglabel")])
    assert set(no_words["option"]) == {"mcm"}


def test_words_for_other_things_are_held_against_the_classes() -> None:
    # Classes and words are axes; images of the classes that were left out lie on those of words.
    words = np.eye(16, dtype=np.float32)[3:13]
    found = left_out_numbers(fits(), splits(), dataclasses.replace(features(), words=words), [option_of("neglabel")])
    assert found.loc[found["method"] == "zero-shot", "auroc"].tolist() == [1.0]


NUMBERS = pd.DataFrame(
    [
        ("plain", "a", 0.5, "energy", 0.70), ("plain", "b", 0.7, "energy", 0.90),  # means 0.6 and 0.8
        ("plain", "a", 0.5, "mcm", 0.60), ("plain", "b", 0.7, "mcm", 0.60),
        ("tuned", "a", 0.8, "energy", 0.5), ("tuned", "b", 0.8, "energy", 0.5),
        ("tuned", "a", 0.8, "mcm", 0.8), ("tuned", "b", 0.8, "mcm", 0.8), ("odd", "a", 0.9, "mcm", 1.0),
    ],
    columns=["method", "target", "accuracy", "option", "auroc"],
).assign(seed=1)  # fmt: skip
SAME = {"plain": 0.8, "tuned": 0.8}


def test_ranking_is_by_the_harmonic_mean_and_ties_go_to_the_simpler_pair_by_hand() -> None:
    ranking = rank(SAME, NUMBERS)
    # 2 · 0.8 · 0.8 / 1.6 twice, then 2 · 0.8 · 0.6 / 1.4 and 2 · 0.8 · 0.5 / 1.3; `odd` lacks a fold.
    expected = [("plain", "energy", 0.8), ("tuned", "mcm", 0.8), ("plain", "mcm", 0.6857), ("tuned", "energy", 0.6154)]
    assert list(ranking[["method", "option", "value"]].itertuples(index=False, name=None)) == expected
    better = rank({"plain": 0.8, "tuned": 0.8002}, NUMBERS)
    assert tuple(better.loc[0, ["method", "option"]]) == ("tuned", "mcm")


@pytest.mark.parametrize(
    ("rule", "accuracies", "expected"),
    [
        ("accuracy", {"plain": 0.8, "tuned": 0.9}, ("tuned", "mcm")),  # of equal accuracy, the better AUROC
        ("auroc", {"plain": 0.1, "tuned": 0.9}, ("plain", "energy")),  # of equal AUROC, the simpler method
    ],
)
def test_other_rules(rule: str, accuracies: dict[str, float], expected: tuple[str, str]) -> None:
    assert tuple(rank(accuracies, NUMBERS, rule).loc[0, ["method", "option"]]) == expected


def decided(method: str = "auto", score: str = "auto", numbers: pd.DataFrame = NUMBERS) -> tuple[str, str, str]:
    choice = choose(SAME, numbers, method=method, score=score, rule="harmonic-mean")
    return choice.method, choice.score, choice.measured_on


def test_accuracy_on_unseen_domains_chooses_where_it_was_measured() -> None:
    assert decided() == ("tuned", "mcm", UNSEEN)  # tuned has 0.8 there and plain 0.6
    assert decided(numbers=NUMBERS.assign(accuracy=np.nan)) == ("plain", "energy", SEEN)


def test_what_params_name_is_kept() -> None:
    assert decided("plain")[:2] == ("plain", "energy")
    assert decided(score="energy")[:2] == ("plain", "energy")  # 2 · 0.6 · 0.8 / 1.4 against 2 · 0.8 · 0.5 / 1.3
    assert decided("tuned", "energy")[:2] == ("tuned", "energy")
    chosen = choose(SAME, NUMBERS, method="tuned", score="energy", rule="harmonic-mean")
    assert chosen.named == ("method", "score")
    assert chosen.to_json()["validation"] == {"accuracy": 0.8, "auroc": 0.5, "value": 0.6154}
    with pytest.raises(DataError, match="no fit of method 'odd'"):
        decided("odd")


def test_without_left_out_classes_there_is_a_default_and_the_reason_says_so() -> None:
    chosen = choose({"plain": 0.8, "tuned": 0.9}, NUMBERS[:0], method="auto", score="auto", rule="harmonic-mean")
    assert (chosen.method, chosen.score) == ("tuned", "mcm")
    assert chosen.reason.startswith("No known class was left out")
    assert chosen.to_json()["validation"] == {}


def test_validation_accuracy_is_the_mean_over_held_out_domains_of_methods_that_converged() -> None:
    table = pd.DataFrame(
        [("a", "ink", 0.5), ("a", "oil", 0.7), ("a", DEPLOY, 1.0), ("b", "ink", 0.9), ("b", "oil", 0.9)],
        columns=["method", "target", "validation_accuracy"],
    ).assign(diverged=[False, False, False, False, True])
    assert validation_accuracies(table) == {"a": pytest.approx(0.6)}
    assert validation_accuracies(table[2:3]) == {"a": 1.0}
    with pytest.raises(DataError, match="a fit of every method diverged"):
        validation_accuracies(table.assign(diverged=True))


def test_params_know_the_scores_that_need_no_words() -> None:
    assert set(SCORES) == {option.name for option in options(words=True)}
