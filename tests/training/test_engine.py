"""The engine on adapters: an independent reimplementation, independence of runs, selection, divergence, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from train import changed, train

from pipeline.errors import DataError, DeviceError, ParamsError
from pipeline.methods.settings import options
from pipeline.params.section import Section
from pipeline.training.runs import Run, Trained

CLASSES, IMAGES = 3, 60
LABELS = np.arange(IMAGES) % CLASSES
SHORT = options({"epochs": 3, "batch_size": 8, "lambda_1": 1.0, "lambda_2": 0.5, "lr": 0.05})
PLAIN = changed(SHORT, generator=False, lambda_1=0.0, lambda_2=0.0)
UNTRAINED = options({"kind": "zero-shot"})


def tables(width: int = 16) -> dict[str, Any]:
    """Classes around three centres, noisy enough that no adapter is perfect."""
    source = np.random.default_rng(3)
    centres = source.normal(size=(CLASSES, width))
    return {
        "views": (centres[LABELS][:, None] + 2 * source.normal(size=(IMAGES, 2, width))).astype(np.float32),
        "clean": (centres[LABELS] + 2 * source.normal(size=(IMAGES, width))).astype(np.float32),
        "text": (centres + 2 * source.normal(size=(CLASSES, width))).astype(np.float32),
        "logit_scale": 20.0,
        "device": "cpu",
    }


def run(settings: Section = SHORT, seed: int = 1, rows: int = 40, method: str = "m") -> Run:
    shown, validation = np.arange(rows), np.arange(40, IMAGES)
    return Run(method, "t", seed, settings, shown, LABELS[shown], validation, LABELS[validation])


def mixed() -> list[Run]:
    """Different numbers, structures, seeds and numbers of training rows."""
    return [
        run(),
        run(seed=2, rows=33),
        run(changed(SHORT, lambda_1=4.0, ratio_image=0.7, lr=0.1), rows=24),
        run(PLAIN),
        run(PLAIN, seed=2, rows=31),
        run(changed(SHORT, preset="released", generator_steps=2)),
        run(changed(SHORT, preset="released", generator_steps=0, epochs=2)),
        run(UNTRAINED),
        run(changed(SHORT, lambda_2=0.0, select="last"), seed=5),
    ]


def same(first: Trained, second: Trained) -> bool:
    return (
        first.head.arrays.keys() == second.head.arrays.keys()
        and all(np.array_equal(first.head.arrays[name], second.head.arrays[name]) for name in first.head.arrays)
        and (first.epoch, first.validation_accuracy) == (second.epoch, second.validation_accuracy)
        and first.history == second.history
    )


@pytest.mark.parametrize("width", [16, 10, 7])
def test_other_runs_change_nothing_in_float64(width: int) -> None:
    data = tables(width) | {"dtype": "float64"}
    together = train(mixed(), **data)
    for one, member in zip(mixed(), together, strict=True):
        assert same(train([one], **data)[0], member)
    for one, member in zip(train(mixed()[::-1], **data)[::-1], together, strict=True):
        assert same(one, member)


def test_other_runs_change_little_in_float32() -> None:
    data = tables()
    for one, member in zip(mixed(), train(mixed(), **data), strict=True):
        (alone,) = train([one], **data)
        for name, array in alone.head.arrays.items():
            np.testing.assert_allclose(array, member.head.arrays[name], atol=1e-5)


def test_number_of_threads_changes_nothing_and_is_restored() -> None:
    data, before = tables() | {"dtype": "float64"}, torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(train(mixed(), **data))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(same(one, two) for one, two in zip(*found, strict=True))


def test_cross_entropy_run_equals_plain_torch() -> None:
    data = tables()
    settings = changed(PLAIN, select="last", weight_decay=0.01)
    (found,) = train([run(settings, seed=7)], **data, dtype="float64")
    # The same training with torch.nn.functional and torch.optim.SGD, one run, nothing shared with the pipeline.
    views, text = torch.from_numpy(data["views"]).double(), torch.from_numpy(data["text"]).double()
    matrices = [torch.eye(16, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    optimiser = torch.optim.SGD(matrices, lr=1.0, momentum=0.9, weight_decay=0.01)
    shuffle, labels = np.random.default_rng(7), torch.from_numpy(LABELS)
    losses = []
    for epoch, rate in enumerate((1e-5, 0.05, 0.05 / 2 * (1 + np.cos(np.pi / 3)))):
        optimiser.param_groups[0]["lr"] = rate
        order = shuffle.permutation(40)
        total = 0.0
        for start in range(0, 40, 8):
            picked = order[start : start + 8]
            batch = views[picked, epoch % 2]
            image = 0.2 * functional.linear(batch, matrices[0]) + 0.8 * batch
            words = 0.5 * functional.linear(text, matrices[1]) + 0.5 * text
            image, words = (part / (part.norm(dim=1, keepdim=True) + 1e-6) for part in (image, words))
            loss = functional.cross_entropy(20 * image @ words.T, labels[picked])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        losses.append(total / 5)
    np.testing.assert_allclose(found.head.arrays["image_weight"], matrices[0].detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.head.arrays["text_weight"], matrices[1].detach().numpy(), rtol=1e-9, atol=1e-12)
    assert [row["loss"] for row in found.history] == pytest.approx(losses, rel=1e-9)
    assert found.epoch == 2


def test_training_lowers_the_loss() -> None:
    for result in train([run(), run(PLAIN), run(changed(SHORT, preset="released"))], **tables()):
        assert result.history[-1]["cross_entropy"] < result.history[0]["cross_entropy"]


def test_source_validation_keeps_the_first_maximum() -> None:
    data = tables()
    settings = changed(PLAIN, epochs=8, lr=0.5)
    last, best = train([run(changed(settings, select="last")), run(settings)], **data)
    curve = [row["validation_accuracy"] for row in best.history]
    assert len(set(curve)) > 1, "the curve must move for this test to mean anything"
    assert best.epoch == int(np.argmax(curve))
    assert last.epoch == 7
    assert best.validation_accuracy == max(curve)
    assert last.validation_accuracy == curve[-1]
    # The weights are those of the selected epoch: they give its accuracy again.
    features, text = data["clean"][40:], data["text"]
    image = 0.2 * features @ best.head.arrays["image_weight"].T + 0.8 * features
    words = 0.5 * text @ best.head.arrays["text_weight"].T + 0.5 * text
    image, words = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (image, words))
    assert np.mean((image @ words.T).argmax(1) == LABELS[40:]) == best.validation_accuracy


def test_rows_outside_the_split_are_invisible() -> None:
    data = tables()
    before = train(mixed(), **data)
    changed = data | {"views": data["views"].copy(), "clean": data["clean"].copy()}
    changed["views"][40:] = 1e3  # rows of a test domain
    changed["clean"][:40] = -1e3
    assert all(same(one, two) for one, two in zip(before, train(mixed(), **changed), strict=True))
    changed["clean"][40:] *= -1  # and the rows that may be seen do matter
    assert not same(before[0], train(mixed(), **changed)[0])


def test_untrained_run_is_zero_shot() -> None:
    data = tables()
    (found,) = train([run(UNTRAINED)], **data)
    np.testing.assert_allclose(np.linalg.norm(found.head.arrays["prototypes"], axis=1), 1, atol=1e-5)
    features, text = data["clean"][40:], data["text"]
    cosines = (features @ text.T) / np.linalg.norm(text, axis=1)
    assert found.validation_accuracy == np.mean(cosines.argmax(1) == LABELS[40:])
    assert (found.epoch, found.history, found.diverged) == (-1, [], False)


def test_diverging_run_stops_alone() -> None:
    data = tables() | {"dtype": "float64"}
    wild = run(changed(SHORT, lr=1e300))
    found = train([run(), wild, run(seed=2)], **data)
    assert [result.diverged for result in found] == [False, True, False]
    assert same(found[0], train([run()], **data)[0])
    assert same(found[2], train([run(seed=2)], **data)[0])
    # Epoch 0 runs at the warm-up rate and is kept; the next one overflows.
    assert [row["epoch"] for row in found[1].history] == [0]
    assert found[1].epoch == 0
    assert np.isfinite(found[1].head.arrays["image_weight"]).all()
    assert found[1].run.setting("lr") == 1e300


def test_all_runs_diverge() -> None:
    wild = changed(SHORT, lr=1e30, warmup_lr=1e30)
    (found,) = train([run(wild)], **tables())
    assert found.diverged
    assert found.epoch == -1
    assert found.history == []
    assert np.array_equal(found.head.arrays["image_weight"], np.eye(16))


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[int, int]] = []
    train(mixed(), **tables(), on_epoch=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7 * 3 + 2, 7 * 3 + 2)  # seven runs of three epochs and one of two; one is not trained
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_read_only_features_are_accepted() -> None:
    data = tables()
    data["views"].setflags(write=False)
    assert len(train([run()], **data)) == 1


def test_last_epoch_needs_no_validation() -> None:
    empty = np.array([], dtype=np.int64)
    deploy = replace(run(changed(SHORT, select="last")), validation_rows=empty, validation_labels=empty)
    (found,) = train([deploy], **tables())
    assert found.epoch == 2
    assert np.isnan(found.validation_accuracy)


@pytest.mark.parametrize("name", ["views", "clean", "text"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_must_be_finite(name: str, value: float) -> None:
    data = tables()
    data[name][2, ..., 0] = value
    with pytest.raises(DataError, match=rf"{name} features: 1 rows are NaN or infinite, the first is row 2"):
        train([run()], **data)


def test_one_class_is_no_classification() -> None:
    data = tables()
    with pytest.raises(DataError, match="text features: 1 class; at least 2 are needed"):
        train([run()], **data | {"text": data["text"][:1]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_labels": np.zeros(40, np.int64)}, "one class"),
        ({"train_labels": LABELS[:40] - 1}, "train label -1 is outside the 3 classes"),
        ({"validation_labels": LABELS[40:] + 1}, "validation label 3 is outside the 3 classes"),
        ({"train_rows": np.arange(7), "train_labels": LABELS[:7]}, "7 training images are fewer than one batch of 8"),
        ({"train_rows": np.arange(40) + 30}, "a train row is outside the 60 rows"),
        ({"train_rows": np.arange(39)}, "do not match"),
    ],
)
def test_bad_runs_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"m, target t, seed 1: .*{message}"):
        train([replace(run(), **change)], **tables())


def test_selection_needs_validation() -> None:
    empty = np.array([], dtype=np.int64)
    with pytest.raises(ParamsError, match="source-val needs validation images"):
        train([replace(run(), validation_rows=empty, validation_labels=empty)], **tables())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_missing_device_is_an_error() -> None:
    with pytest.raises(DeviceError, match="CUDA is not available"):
        train([run()], **tables() | {"device": "cuda"})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_gpu_agrees_with_cpu() -> None:
    # Float64, as float32 products on a GPU may use reduced precision.
    data = tables() | {"dtype": "float64"}
    for here, there in zip(train(mixed(), **data), train(mixed(), **data | {"device": "cuda"}), strict=True):
        for name, array in here.head.arrays.items():
            np.testing.assert_allclose(there.head.arrays[name], array, atol=1e-9)
        assert there.epoch == here.epoch
