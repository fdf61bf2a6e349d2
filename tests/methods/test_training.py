"""Every kind under one contract: against torch.optim, alone or together, selection, divergence, bad input, on disk."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_clip import tiny_clip
from torch.nn import functional
from train import train

from pipeline.backbone.load import load_backbone
from pipeline.backbone.protocol import PromptTower
from pipeline.errors import DataError, ParamsError
from pipeline.fits import Head, read_fits, write_fits
from pipeline.methods.catalogue import METHODS, head_logits
from pipeline.methods.settings import options
from pipeline.training.assemble import collect, diverged_lines, fit_metrics
from pipeline.training.engine import _structure
from pipeline.training.runs import Run, Trained
from pipeline.training.schedule import batch_order, learning_rate
from pipeline.training.views import CachedViews

CLASSES, IMAGES, WIDTH, SCALE = 3, 60, 16, 20.0
LABELS = np.arange(IMAGES) % CLASSES
SHORT = {"epochs": 3, "batch_size": 8, "lr": 0.05}
KINDS: dict[str, dict[str, Any]] = {
    "linear-probe": {"kind": "linear-probe", **SHORT},
    "clip-adapter": {"kind": "clip-adapter", **SHORT},
    "coop": {"kind": "coop", **SHORT},
    "tip-adapter": {"kind": "tip-adapter"},
    "tip-adapter-f": {"kind": "tip-adapter-f", "optimizer": "adamw", **SHORT},
    "adapters": {"kind": "adapters", "generator": False, "lambda_2": 0.0, **SHORT},
    "zero-shot": {"kind": "zero-shot"},
}
TRAINED = ("linear-probe", "clip-adapter", "coop", "tip-adapter-f")


@functools.cache
def tower() -> PromptTower:
    with tempfile.TemporaryDirectory() as folder:
        return load_backbone(*tiny_clip(Path(folder), name="tiny-16-wide", width=WIDTH), "cpu").prompt_tower()


def tables() -> dict[str, Any]:
    source = np.random.default_rng(3)
    centres = source.normal(size=(CLASSES, WIDTH))
    return {
        "views": (centres[LABELS][:, None] + 2 * source.normal(size=(IMAGES, 2, WIDTH))).astype(np.float32),
        "clean": (centres[LABELS] + 2 * source.normal(size=(IMAGES, WIDTH))).astype(np.float32),
        "text": (centres + 2 * source.normal(size=(CLASSES, WIDTH))).astype(np.float32),
        "logit_scale": SCALE,
        "names": ["cat", "dog", "barn owl"],
        "tower": tower,
    }


def run(kind: str, seed: int = 1, rows: int = 40, **change: Any) -> Run:
    shown, validation = np.arange(rows), np.arange(40, IMAGES)
    return Run(
        kind, "t", seed, options({**KINDS[kind], **change}), shown, LABELS[shown], validation, LABELS[validation]
    )


def logits(head: Head, features: np.ndarray) -> torch.Tensor:
    arrays = {name: torch.from_numpy(array) for name, array in head.arrays.items()}
    return head_logits(torch.from_numpy(features), head.kind, arrays, head.scalars)


def same(first: Trained, second: Trained) -> bool:
    return (
        first.head.scalars == second.head.scalars
        and all(np.array_equal(first.head.arrays[name], second.head.arrays[name]) for name in first.head.arrays)
        and first.history == second.history
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_recorded_accuracy_is_that_of_the_head(kind: str) -> None:
    (found,) = train([run(kind)], **tables())
    share = (logits(found.head, tables()["clean"][40:]).argmax(-1).numpy() == LABELS[40:]).mean()
    assert found.validation_accuracy == pytest.approx(share)
    assert not found.diverged
    if found.run.kind.trains:
        assert [row["epoch"] for row in found.history] == [0, 1, 2]
        if kind != "tip-adapter-f":  # whose search comes after the epochs
            accuracies = [row["validation_accuracy"] for row in found.history]
            assert found.epoch == int(np.argmax(accuracies))
    else:
        assert (found.epoch, found.history) == (-1, [])


def test_every_kind_of_the_catalogue_is_tested_here() -> None:
    assert set(KINDS) == set(METHODS)


def test_a_run_does_not_depend_on_the_others_in_float64() -> None:
    runs = [run(kind, seed, rows) for kind in KINDS for seed, rows in ((1, 40), (2, 33), (3, 40))]
    together = train(runs, **tables(), dtype="float64")
    for number, member in enumerate(together):
        (alone,) = train([runs[number]], **tables(), dtype="float64")
        assert same(alone, member), alone.run.name


def test_a_run_depends_on_the_others_by_rounding_only_in_float32() -> None:
    runs = [run(kind, seed) for kind in KINDS for seed in (1, 2)]
    for member in train(runs, **tables()):
        (alone,) = train([member.run], **tables())
        for name, array in alone.head.arrays.items():
            np.testing.assert_allclose(array, member.head.arrays[name], atol=1e-5)


def knowing(one: Run, known: tuple[int, ...]) -> Run:
    """The same run, of some of the classes."""

    def of(rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept = np.isin(labels, known)
        return rows[kept], np.searchsorted(known, labels[kept])

    train_rows, train_labels = of(one.train_rows, one.train_labels)
    validation_rows, validation_labels = of(one.validation_rows, one.validation_labels)
    return replace(
        one, train_rows=train_rows, train_labels=train_labels, validation_rows=validation_rows,
        validation_labels=validation_labels, text_rows=np.array(known),
    )  # fmt: skip


PENALISED = {"kind": "adapters", "generator": True, "lambda_1": 2.0, "lambda_2": 3.0, **SHORT}


@pytest.mark.parametrize("settings", [*KINDS.values(), PENALISED, {**PENALISED, "preset": "released"}])
def test_runs_that_know_other_classes_train_side_by_side(settings: dict[str, Any]) -> None:
    own = options(settings)
    runs = [
        knowing(replace(run(settings["kind"], seed, 39), options=own), known)
        for seed, known in enumerate([(0, 1), (1, 2), (0, 2), (0, 1)], 1)
    ]
    data = tables()
    assert len({_structure(one, torch.zeros(2, WIDTH)) for one in runs}) == (3 if settings["kind"] == "coop" else 1)
    for one, member in zip(runs, train(runs, **data, dtype="float64"), strict=True):
        (alone,) = train([one], **data, dtype="float64")
        assert same(alone, member)
    for one, member in zip(runs, train(runs, **data), strict=True):
        (alone,) = train([one], **data)
        for name, array in alone.head.arrays.items():
            np.testing.assert_allclose(array, member.head.arrays[name], atol=1e-5)


def test_linear_probe_is_what_torch_trains() -> None:
    one = run("linear-probe", select="last", weight_decay=0.1)
    data = tables()
    (found,) = train([one], **data, dtype="float64")
    views, text = torch.from_numpy(data["views"]).double(), torch.from_numpy(data["text"]).double()
    weight = functional.normalize(text).requires_grad_()
    bias = torch.zeros(CLASSES, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=1.0, momentum=0.9, weight_decay=0.1)
    order, labels = np.random.default_rng(1), torch.from_numpy(LABELS)
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = learning_rate(epoch, 3, 0.05, 1e-5)
        for batch in batch_order(order, 40, 8):
            index = torch.from_numpy(batch)
            values = functional.linear(functional.normalize(views[index, epoch % 2]), weight, bias)
            optimizer.zero_grad()
            functional.cross_entropy(SCALE * values, labels[index]).backward()
            optimizer.step()
    # 1e-5: the 1e-6 that CLIP's norms get here and not in functional.normalize.
    np.testing.assert_allclose(found.head.arrays["weight"], weight.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(found.head.arrays["bias"], bias.detach().numpy(), atol=1e-5)


def test_validation_rows_choose_and_never_train() -> None:
    """Other validation labels change what is kept, never the losses."""
    for kind in TRAINED:
        one = run(kind)
        other = replace(one, validation_labels=(one.validation_labels + 1) % CLASSES)
        first, second = train([one, other], **tables())
        assert [row["loss"] for row in first.history] == [row["loss"] for row in second.history]
        assert first.validation_accuracy != second.validation_accuracy


def test_last_needs_no_validation_and_searches_nothing() -> None:
    none = np.zeros(0, np.int64)
    for kind in ("tip-adapter", "tip-adapter-f"):
        one = replace(run(kind, select="last", alpha=2.0, beta=3.0), validation_rows=none, validation_labels=none)
        (found,) = train([one], **tables())
        assert (found.head.scalars["alpha"], found.head.scalars["beta"]) == (2.0, 3.0)
        assert np.isnan(found.validation_accuracy)
        assert found.epoch == (2 if kind == "tip-adapter-f" else -1)


@pytest.mark.parametrize("kind", ["linear-probe", "coop"])
def test_a_diverging_run_stops_alone(kind: str) -> None:
    wild = run(kind, lr=1e30, momentum=0.0, epochs=6)
    calm = run(kind)
    alone, together = train([calm], **tables()), train([wild, calm], **tables())
    assert together[0].diverged
    assert len(together[0].history) < 6
    assert all(np.isfinite(array).all() for array in together[0].head.arrays.values())
    assert same(alone[0], together[1])
    assert fit_metrics(together)[kind]["diverged"] == 1
    (line,) = diverged_lines(together)
    assert line.startswith(f"{kind}, target t, seed 1: diverged after {len(together[0].history)} whole epochs")
    assert f"kind={kind}, " in line
    assert "lr=1e+30" in line


@pytest.mark.parametrize("kind", ["linear-probe", "clip-adapter", "coop", "tip-adapter", "tip-adapter-f"])
def test_bad_input_is_named_before_training(kind: str) -> None:
    one, none = run(kind), np.zeros(0, np.int64)
    cases: list[tuple[Run, type[Exception], str]] = [
        (replace(one, train_labels=np.zeros(40, np.int64)), DataError, "class"),
        (replace(one, train_labels=one.train_labels + 1), DataError, "train label 3 is outside the 3 classes"),
        (replace(one, validation_rows=none, validation_labels=none), ParamsError, "needs validation images"),
    ]
    if kind != "tip-adapter":
        few = replace(one, train_rows=one.train_rows[:7], train_labels=one.train_labels[:7])
        cases.append((few, DataError, "fewer than one batch"))
    for wrong, error, message in cases:
        with pytest.raises(error, match=message):
            train([wrong], **tables())
    broken = tables()
    broken["views"][3, 0, 0] = np.nan
    with pytest.raises(DataError, match="views features: 1 rows are NaN or infinite, the first is row 3"):
        train([one], **broken)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "clip-adapter", "ratio_image": 1.5}, "ratio_image: Input should be less than or equal to 1"),
        ({"kind": "clip-adapter", "reduction": 0}, "reduction: Input should be greater than or equal to 1"),
        ({"kind": "tip-adapter", "beta": float("nan")}, "beta: Input should be a finite number"),
        ({"kind": "linear-probe", "optimizer": "lion"}, "optimizer: Input should be 'sgd' or 'adamw', found 'lion'"),
        ({"kind": "coop", "init": "zeros"}, "init: Input should be 'words' or 'random'"),
        ({"kind": "cocoop"}, "unknown kind 'cocoop'; did you mean 'coop'"),
        ({"kind": "adapters", "batch_size": 1}, "batch_size: Input should be greater than or equal to 2"),
    ],
)
def test_bad_settings_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        options(values)


def test_heads_survive_the_disk_without_pickle(tmp_path: Path) -> None:
    fits = train([run(kind) for kind in KINDS], **tables())
    write_fits(collect(fits), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fits.parquet", "heads.safetensors", "history.parquet"]
    again = read_fits(tmp_path)
    clean = tables()["clean"]
    assert len(again.heads) == len(fits)
    for row, one in zip(again.table.to_dict("records"), fits, strict=True):
        assert (row["method"], row["kind"]) == (one.run.method, one.head.kind)
        assert torch.equal(logits(again.heads[row["fit"]], clean), logits(one.head, clean))


def test_damaged_heads_are_refused(tmp_path: Path) -> None:
    write_fits(collect(train([run("zero-shot"), run("tip-adapter")], **tables())), tmp_path)
    file = tmp_path / "heads.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"heads\.safetensors: not readable"):
        read_fits(tmp_path)
    write_fits(collect(train([run("zero-shot")], **tables())), tmp_path / "other")
    file.write_bytes((tmp_path / "other" / "heads.safetensors").read_bytes())
    with pytest.raises(DataError, match="holds nothing of fit 1"):
        read_fits(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match=r"heads\.safetensors: no such file"):
        read_fits(tmp_path)


def test_a_cache_of_images_is_made_once() -> None:
    """With featurize.views: 0 its views are encoded for it, which takes longer than all that follows."""
    data = tables()
    source = CachedViews(data["views"], "cpu")
    asked: list[int] = []
    average = source.to_average
    source.to_average = lambda rows: (asked.append(len(rows)), average(rows))[1]  # type: ignore[method-assign]
    train([run("tip-adapter-f", rows=40), run("tip-adapter-f", seed=2, rows=33)], **data | {"views": source})
    assert sorted(asked) == [33, 40]
