"""The summary against numbers counted by hand and against the binomial distribution."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import binom

from pipeline.errors import DataError
from pipeline.evaluation.intervals import with_intervals
from pipeline.evaluation.measures import METRICS, OPEN_SET
from pipeline.evaluation.resampled import resampled
from pipeline.evaluation.results import flat
from pipeline.evaluation.summary import OF_MEAN, summarise
from pipeline.tables import IN_DISTRIBUTION, TEST_ID, TEST_SHIFTED, TEST_UNKNOWN, TEST_UNKNOWN_ID


def with_ends(scores, resamples: int):
    """The summary with intervals."""
    return with_intervals(summarise(scores), resampled(scores, ("accuracy",), resamples=resamples))


def rows(method: str, target: str, seed: int, right: int, wrong: int, unknown: tuple[float, ...] = ()) -> list:
    """`right` and `wrong` known images with scores 0, 1, 2 ..., an ID image that is right, and unknown images."""
    known = [
        (method, target, seed, f"{target}/{i}", TEST_SHIFTED, 0, 0 if i < right else 1, float(i))
        for i in range(right + wrong)
    ]
    others = [(method, target, seed, f"{target}/u{i}", TEST_UNKNOWN, -1, 0, score) for i, score in enumerate(unknown)]
    return [*known, (method, target, seed, f"{target}/id", TEST_ID, 1, 1, 0.0), *others]


def test_by_hand(table_of) -> None:
    scores = table_of(
        rows("m", "a", 1, 3, 1, unknown=(3.5, 2.5))  # accuracy 3/4
        + rows("m", "a", 2, 2, 2, unknown=(9.0, 8.0))  # 2/4
        + rows("m", "b", 1, 1, 1, unknown=(5.0,))  # 1/2
        + rows("m", "b", 2, 2, 0, unknown=(5.0,))  # 1
    )
    summary = summarise(scores)
    assert list(summary["m"]) == ["a", "b", "mean"]
    a, mean = summary["m"]["a"], summary["m"]["mean"]
    assert (a["n"], a["n_unknown"], a["seeds"]) == (4, 2, 2)
    assert a["accuracy"] == pytest.approx(5 / 8)
    assert a["accuracy_spread"] == pytest.approx(math.sqrt(2) / 8)  # of 3/4 and 1/2: half the gap times sqrt 2
    assert a["accuracy_id"] == 1.0
    assert a["accuracy_id_spread"] == 0.0
    # Seed 1: known 0 1 2 3, unknown 3.5 beats four, 2.5 beats three: 7/8. Seed 2: 1.
    assert a["auroc"] == pytest.approx(15 / 16)
    # Accepting 95 % of four known images accepts all, up to 3: one of two unknown (2.5) in seed 1, none in seed 2.
    assert a["fpr95_id_positive"] == pytest.approx(1 / 4)
    # Rejecting 95 % of two unknown images rejects both, from 2.5: one of four known (3) in seed 1, none in seed 2.
    assert a["fpr95_ood_positive"] == pytest.approx(1 / 8)
    assert a["base_rate"] == pytest.approx(2 / 6)
    # Means over domains: seed 1 (3/4 + 1/2)/2 = 5/8, seed 2 (1/2 + 1)/2 = 3/4.
    assert mean["accuracy"] == pytest.approx(11 / 16)
    assert mean["accuracy_spread"] == pytest.approx(math.sqrt(2) / 16)
    assert (mean["n"], mean["n_unknown"], mean["seeds"]) == (6, 3, 2)


def test_open_sets_are_measured_one_by_one_and_in_the_mean(table_of) -> None:
    pool = [("m", "a", 1, f"p{i}", TEST_UNKNOWN, -1, 0, score, "tex") for i, score in enumerate((0.5, 1.5, 9.0))]
    found = summarise(table_of(rows("m", "a", 1, 3, 1, unknown=(3.5, 2.5)) + pool))["m"]["a"]
    # Known 0 1 2 3. classes: 3.5 beats four, 2.5 three: 7/8. tex: 0.5 beats one, 1.5 two, 9 four: 7/12.
    sets = found["open_sets"]
    assert list(sets) == ["classes", "tex"]
    assert sets["classes"]["auroc"] == pytest.approx(7 / 8)
    assert sets["tex"]["auroc"] == pytest.approx(7 / 12)
    assert found["auroc"] == pytest.approx((7 / 8 + 7 / 12) / 2)
    # All known are accepted up to 3: one of two, two of three. Rejecting all unknown rejects from 2.5, from 0.5.
    assert [sets[name]["fpr95_id_positive"] for name in ("classes", "tex")] == pytest.approx([1 / 2, 2 / 3])
    assert [sets[name]["fpr95_ood_positive"] for name in ("classes", "tex")] == pytest.approx([1 / 4, 3 / 4])
    assert [sets[name]["base_rate"] for name in ("classes", "tex")] == pytest.approx([2 / 6, 3 / 7])
    assert found["base_rate"] == pytest.approx((2 / 6 + 3 / 7) / 2)
    assert [numbers["n_unknown"] for numbers in (found, sets["classes"], sets["tex"])] == [5, 2, 3]
    plain = summarise(table_of(rows("m", "a", 1, 3, 1) + pool))["m"]["mean"]
    assert plain["auroc"] == plain["open_sets"]["tex"]["auroc"] == pytest.approx(7 / 12)  # pools alone
    assert list(plain["open_sets"]) == ["tex"]
    assert type(plain["open_sets"]["tex"]["n_unknown"]) is int


def test_detection_without_a_shift_compares_the_source_domains(table_of) -> None:
    unknown = [("m", "a", 1, f"s{i}", TEST_UNKNOWN_ID, -1, 0, score) for i, score in enumerate((-1.0, 1.0, 2.0))]
    found = summarise(table_of(rows("m", "a", 1, 3, 1, unknown=(9.0,)) + unknown))["m"]["a"]
    assert found["auroc_id"] == pytest.approx(2 / 3)  # the one ID image has the score 0
    assert found["auroc"] == 1.0
    assert found["n_unknown"] == 1


def test_without_a_held_out_domain_unseen_images_of_the_same_count(table_of) -> None:
    scores = table_of(
        [("m", IN_DISTRIBUTION, 1, f"i{i}", TEST_ID, 0, 0 if i < 3 else 1, float(i)) for i in range(4)]
        + [("m", IN_DISTRIBUTION, 1, "u", TEST_UNKNOWN, -1, 0, 2.5)]
    )
    found = with_ends(scores, 100)["m"]
    for target in (IN_DISTRIBUTION, "mean"):
        assert (found[target]["n"], found[target]["n_unknown"]) == (4, 1)
        assert found[target]["accuracy"] == found[target]["accuracy_id"] == 0.75
        assert found[target]["auroc"] == 0.75
        assert found[target]["accuracy_low"] <= 0.75 <= found[target]["accuracy_high"]
    assert found["mean"]["accuracy_worst_domain"] is None  # there is no other domain than those that trained
    assert found["mean"]["accuracy_auroc_harmonic_mean"] == pytest.approx(0.75)


def source_rows(scores: tuple[float, ...]) -> list:
    return [("m", "a", 1, f"s{i}", TEST_ID, 0, 0, score) for i, score in enumerate(scores)]


def test_full_spectrum_by_hand(table_of) -> None:
    # Shifted 0 1 2 3 (the last one wrong), source images 0 (of `rows`), 5 and 6, unknown 3.5 and 2.5.
    table = table_of(rows("m", "a", 1, 3, 1, unknown=(3.5, 2.5)) + source_rows((5.0, 6.0)))
    values = summarise(table)["m"]["a"]
    # Seven known images: 3.5 beats 0 0 1 2 3, 2.5 beats 0 0 1 2. Against the shifted ones alone: 4 and 3 of 4.
    assert values["auroc_full"] == values["open_sets"]["classes"]["auroc_full"] == pytest.approx(9 / 14)
    assert values["auroc"] == pytest.approx(7 / 8)
    # The source images alone reach (1 + 1)/6: the mean of both halves by their sizes, and here the smaller number.
    assert values["auroc_full"] == pytest.approx((4 * 7 / 8 + 3 * 2 / 6) / 7)
    # Accepting 95 % of seven accepts all, up to 6: both unknown. Rejecting both unknown rejects from 2.5: 3, 5 and 6.
    assert values["fpr95_full_id_positive"] == 1.0
    assert values["fpr95_id_positive"] == 0.5
    assert values["fpr95_full_ood_positive"] == pytest.approx(3 / 7)
    assert values["fpr95_ood_positive"] == 0.25


def test_full_spectrum_needs_images_of_both_kinds(table_of) -> None:
    names = ("auroc_full", "fpr95_full_id_positive", "fpr95_full_ood_positive")
    alone = table_of([row for row in rows("m", "a", 1, 3, 1, unknown=(3.5,)) if row[4] != TEST_ID])
    in_distribution = table_of(
        [("m", IN_DISTRIBUTION, 1, row[3], TEST_ID if row[4] == TEST_SHIFTED else row[4], *row[5:])
         for row in rows("m", "a", 1, 3, 1, unknown=(3.5,))]
    )  # fmt: skip
    for scores in (alone, in_distribution):
        for values in summarise(scores)["m"].values():
            assert values["auroc"] == 1.0
            assert [values[name] for name in names] == [values[f"{name}_spread"] for name in names] == [None] * 3


def test_classification_and_detection_together_by_hand(table_of) -> None:
    # Known 0 1 2 (right) and 3 (wrong); unknown 3.5, which three right images of four lie below, and 1.5: two.
    values = summarise(table_of(rows("m", "a", 1, 3, 1, unknown=(3.5, 1.5))))["m"]["a"]
    assert values["oscr"] == values["open_sets"]["classes"]["oscr"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    # The authors' variants leave out the wrong image: 3.5 beats three of three, 1.5 beats two. In their sign the right
    # images are 0, -1, -2 with the 5th percentile -1.9, above which -1.5 lies and -3.5 does not.
    assert values["released_auroc"] == pytest.approx(5 / 6)
    assert values["released_fpr95_id_positive"] == 0.5
    # Thresholds 3.5, 3, 2, 1.5: (recall, precision) (1/2, 1), (1/2, 1/2), (1/2, 1/3), (1, 2/4), after which only the
    # precision changes: 1/2 · 1 + 1/2 (1/3 + 1/2)/2.
    assert values["aupr_out"] == pytest.approx(1 / 2 + 5 / 24)
    # Known positive, from below: 0 and 1: (2/4, 1); 1.5: (2/4, 2/3); 2: (3/4, 3/4); 3: (1, 4/5); 3.5.
    assert values["aupr_in"] == pytest.approx(1 / 2 + (2 / 3 + 3 / 4) / 8 + (3 / 4 + 4 / 5) / 8)


def test_without_a_right_answer_the_authors_variants_are_not_measured(table_of) -> None:
    values = summarise(table_of(rows("m", "a", 1, 0, 3, unknown=(9.0,))))["m"]["a"]
    assert values["released_auroc"] is values["released_fpr95_id_positive"] is None
    assert (values["oscr"], values["auroc"]) == (0.0, 1.0)


def test_calibration_is_of_the_known_images_that_are_tested(table_of) -> None:
    table = table_of(rows("m", "a", 1, 3, 1, unknown=(9.0,)))
    table["confidence"] = np.float32([0.75, 0.5, 0.25, 1.0, 0.0, 0.0])  # three right, the wrong one, source, unknown
    values = summarise(table)["m"]["a"]
    # A bin each: |1 - 0.75|, |1 - 0.5|, |1 - 0.25|, |0 - 1| of four, and their squares.
    assert values["ece"] == pytest.approx((0.25 + 0.5 + 0.75 + 1) / 4)
    assert values["brier_top_label"] == pytest.approx((0.0625 + 0.25 + 0.5625 + 1) / 4)
    # The wrong one is the surest: risks 1, 1/2, 1/3, 1/4.
    assert values["aurc"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert values["risk_at_95_coverage"] == 1 / 4


def test_worst_domain_and_harmonic_mean_by_hand(table_of) -> None:
    scores = table_of(
        rows("m", "a", 1, 3, 1, unknown=(9.0,))  # accuracy 3/4, AUROC 1
        + rows("m", "b", 1, 1, 3, unknown=(1.5,))  # 1/4, 2/4
        + rows("m", "a", 2, 2, 2, unknown=(9.0,))  # 2/4, 1
        + rows("m", "b", 2, 4, 0, unknown=(9.0,))  # 1, 1
    )
    row = summarise(scores)["m"]
    # Seed 1 is worst on b, seed 2 on a: the mean of 1/4 and 2/4, though no domain has a mean below 5/8.
    assert row["mean"]["accuracy_worst_domain"] == pytest.approx(3 / 8)
    assert row["mean"]["accuracy_worst_domain_spread"] == pytest.approx(math.sqrt(2) / 8)
    # Seed 1: accuracy 1/2, AUROC 3/4: 2 · 3/8 / (5/4). Seed 2: 3/4 and 1: 2 · 3/4 / (7/4).
    assert row["mean"]["accuracy_auroc_harmonic_mean"] == pytest.approx((3 / 5 + 6 / 7) / 2)
    assert not {"accuracy_worst_domain", "accuracy_auroc_harmonic_mean"} & set(row["a"])
    incomplete = table_of(rows("x", "a", 1, 3, 1) + rows("x", "b", 1, 3, 1) + rows("y", "a", 1, 3, 1))
    assert summarise(incomplete)["y"]["mean"]["accuracy_worst_domain"] is None


def test_interval_is_that_of_the_binomial(table_of) -> None:
    summary = with_ends(table_of(rows("m", "a", 1, 160, 40)), 20_000)
    low, high = binom.ppf([0.025, 0.975], 200, 0.8) / 200  # resampling 200 images of which 80 % are right
    found = summary["m"]["a"]
    assert found["accuracy_low"] == pytest.approx(low, abs=0.006)  # one image is 0.005
    assert found["accuracy_high"] == pytest.approx(high, abs=0.006)
    assert summary["m"]["mean"]["accuracy_low"] == found["accuracy_low"]


def test_the_mean_of_four_domains_has_half_the_interval(table_of) -> None:
    scores = table_of([row for target in "abcd" for row in rows("m", target, 1, 160, 40)])
    summary = with_ends(scores, 4000)
    width = {t: summary["m"][t]["accuracy_high"] - summary["m"][t]["accuracy_low"] for t in ("a", "mean")}
    assert width["mean"] == pytest.approx(width["a"] / 2, rel=0.1)


def test_a_rows_numbers_do_not_depend_on_the_others(scores) -> None:
    whole = summarise(scores)
    part = summarise(scores[(scores["method"] == "tuned") & (scores["target"] == "oil")])
    assert part["tuned"]["oil"] == whole["tuned"]["oil"]
    shuffled = summarise(scores.sample(frac=1.0, random_state=0))
    assert flat(shuffled) == pytest.approx(flat(whole))


def test_one_seed_has_no_spread(table_of) -> None:
    found = summarise(table_of(rows("m", "a", 1, 3, 1, unknown=(1.0,))))["m"]
    for target in ("a", "mean"):
        assert found[target]["accuracy"] == 0.75
        assert found[target]["accuracy_spread"] is None
        assert found[target]["auroc_spread"] is None


def test_without_unknown_classes_the_open_set_is_null(table_of) -> None:
    found = summarise(table_of(rows("m", "a", 1, 3, 1) + rows("m", "a", 2, 3, 1)))["m"]
    for target in ("a", "mean"):
        for name in (*OPEN_SET, "base_rate"):
            assert found[target][name] is None
        assert found[target]["n_unknown"] == 0
        assert found[target]["accuracy_spread"] == 0.0


def test_a_method_without_a_domain_has_no_mean(table_of) -> None:
    scores = table_of(rows("whole", "a", 1, 3, 1) + rows("whole", "b", 1, 1, 1) + rows("half", "a", 1, 4, 0))
    found = summarise(scores)
    assert found["half"]["a"]["accuracy"] == 1.0
    assert found["half"]["mean"]["accuracy"] is None
    assert found["half"]["mean"]["seeds"] == 0
    assert found["whole"]["mean"]["accuracy"] == pytest.approx(5 / 8)


def test_the_mean_takes_the_seeds_that_have_every_domain(table_of) -> None:
    scores = table_of(rows("m", "a", 1, 3, 1) + rows("m", "b", 1, 1, 1) + rows("m", "a", 2, 0, 4))  # b diverged in 2
    found = summarise(scores)["m"]
    assert found["mean"]["accuracy"] == pytest.approx(5 / 8)
    assert found["mean"]["seeds"] == 1
    assert found["a"]["seeds"] == 2


def test_metrics_are_plain_json_numbers(summary) -> None:
    found = json.loads(json.dumps(summary, allow_nan=False))
    assert list(found) == ["plain", "tuned"]
    assert list(found["plain"]) == ["ink", "oil", "web", "mean"]
    values = found["tuned"]["mean"]
    assert type(values["n"]) is type(values["seeds"]) is int
    assert type(values["open_sets"]["classes"]["n_unknown"]) is int
    assert all(isinstance(value, int | float) for key, value in values.items() if key != "open_sets")
    assert all(isinstance(value, int | float) for value in values["open_sets"]["classes"].values())
    for name in (*METRICS, *OF_MEAN):
        assert 0.0 <= values[name] <= 1.0
        assert values[f"{name}_spread"] >= 0.0
    assert values["accuracy_low"] <= values["accuracy"] <= values["accuracy_high"]


def test_refuses_a_domain_that_has_the_means_name(table_of) -> None:
    with pytest.raises(DataError, match="a domain is called 'mean'"):
        summarise(table_of(rows("m", "mean", 1, 1, 1)))


def test_refuses_scores_that_are_not_finite(table_of) -> None:
    with pytest.raises(DataError, match="not finite"):
        summarise(table_of(rows("m", "a", 1, 1, 1, unknown=(np.nan,))))
