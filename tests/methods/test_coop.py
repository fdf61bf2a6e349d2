"""CoOp against open_clip's own `encode_text`, whose token embeddings a hook replaces by the learned context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_clip import tiny_clip
from torch.nn import functional
from train import train

from pipeline.backbone.load import load_backbone
from pipeline.backbone.protocol import Backbone, PromptTower
from pipeline.errors import DataError, ParamsError
from pipeline.methods.contract import ClassSet, Images
from pipeline.methods.coop import derive, start
from pipeline.methods.settings import options
from pipeline.training.runs import Run, Trained
from pipeline.training.schedule import batch_order, learning_rate

NAMES = ["cat", "barn owl", "hippopotamus"]
WORDS = "a photo of a"  # four tokens, at the places 1 to 4 of a prompt
SCALE, IMAGES, WIDTH = 20.0, 60, 24
LABELS = np.arange(IMAGES) % len(NAMES)
SHORT: dict[str, Any] = {"kind": "coop", "epochs": 3, "batch_size": 8, "lr": 0.05, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(*tiny_clip(tmp_path_factory.mktemp("coop"), name="tiny-coop", width=WIDTH), "cpu")


def run(**change: Any) -> Run:
    shown, validation = np.arange(40), np.arange(40, IMAGES)
    own = options({**SHORT, **change})
    return Run("coop", "t", 1, own, shown, LABELS[shown], validation, LABELS[validation])


def tables(backbone: Backbone) -> dict[str, Any]:
    source = np.random.default_rng(3)
    centres = source.normal(size=(len(NAMES), WIDTH))
    images = (centres[LABELS][:, None] + source.normal(size=(IMAGES, 2, WIDTH))).astype(np.float32)
    text = backbone.encode_text([f"{WORDS} {name}." for name in NAMES])
    return {
        "views": images, "clean": images[:, 0], "text": text, "logit_scale": SCALE,
        "names": NAMES, "tower": lambda: backbone.prompt_tower(),
    }  # fmt: skip


def trained(backbone: Backbone, dtype: Any = "float32", **change: Any) -> Trained:
    (found,) = train([run(**change)], **tables(backbone), dtype=dtype)
    return found


def class_set(backbone: Backbone) -> ClassSet:
    text = torch.from_numpy(tables(backbone)["text"])
    return ClassSet(text, SCALE, NAMES, lambda: backbone.prompt_tower())


def first_context(classes: ClassSet, seed: int = 1, **change: Any) -> torch.Tensor:
    images = Images(torch.from_numpy(LABELS), lambda: torch.zeros(0))
    return start(run(**change).options, seed, classes, images).learnt["context"]  # type: ignore[arg-type]


@pytest.mark.parametrize("class_specific", [False, True])
def test_words_start_at_the_zero_shot_prompt(backbone: Backbone, class_specific: bool) -> None:
    classes = class_set(backbone)
    context = first_context(classes, class_specific=class_specific, context=99)
    assert context.shape == ((3, 4, 32) if class_specific else (4, 32))
    settings: Any = run(class_specific=class_specific).options
    with torch.no_grad():
        found = derive({"context": context}, {}, settings, classes)["prototypes"]
        # Two stacked runs, as the engine passes them.
        stacked = derive({"context": torch.stack([context, context])}, {}, settings, classes)["prototypes"]
    torch.testing.assert_close(stacked, torch.stack([found, found]), rtol=0, atol=2e-6)
    expected = functional.normalize(torch.from_numpy(tables(backbone)["text"]))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_random_contexts_are_drawn_by_the_seed_alone(backbone: Backbone) -> None:
    classes = class_set(backbone)

    def drawn(seed: int, **change: Any) -> torch.Tensor:
        return first_context(classes, seed, **{"init": "random", "context": 16, **change})

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    own = drawn(1, class_specific=True)
    assert own.shape == (3, 16, 32)
    assert not torch.equal(own[0], own[1])
    # 1,536 numbers from N(0, 0.02²): four standard errors of their deviation are 0.02 * 4 / sqrt(2 * 1536).
    assert own.std().item() == pytest.approx(0.02, abs=0.0015)


@pytest.mark.parametrize("class_specific", [False, True])
def test_training_is_torchs_through_open_clips_encode_text(backbone: Backbone, class_specific: bool) -> None:
    """Whole prompts of 16 tokens, their context replaced inside open_clip, torch's losses, gradients and optimizer."""
    found = trained(backbone, "float64", class_specific=class_specific, select="last", weight_decay=0.1)
    data = tables(backbone)
    views = torch.from_numpy(data["views"]).double()
    model = load_copy(backbone)
    ids = backbone.tokenizer([f"{WORDS} {name}." for name in NAMES])
    context = model.token_embedding(ids[:1, 1:5])[0].detach()
    context = (context.repeat(3, 1, 1) if class_specific else context).requires_grad_()

    def put_in(_module: Any, _ids: Any, output: torch.Tensor) -> torch.Tensor:
        return torch.cat([output[:, :1], context.expand(3, 4, 32), output[:, 5:]], dim=1)

    optimizer = torch.optim.SGD([context], lr=1.0, momentum=0.9, weight_decay=0.1)
    order, labels, losses = np.random.default_rng(1), torch.from_numpy(LABELS), []
    with_context = model.token_embedding.register_forward_hook(put_in)
    for epoch in range(3):
        optimizer.param_groups[0]["lr"] = learning_rate(epoch, 3, 0.05, 1e-5)
        for batch in batch_order(order, 40, 8):
            index = torch.from_numpy(batch)
            text = model.encode_text(ids, normalize=True)
            values = SCALE * functional.normalize(views[index, epoch % 2]) @ text.T
            loss = functional.cross_entropy(values, labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    prototypes = model.encode_text(ids, normalize=True).detach().numpy()
    with_context.remove()
    assert [row["loss"] for row in found.history] == pytest.approx(np.reshape(losses, (3, 5)).mean(1), rel=1e-5)
    # 1e-5 of their size: the 1e-6 that norms get here and not in torch; the context has moved by much more.
    moved = np.abs(found.head.arrays["context"] - model.token_embedding(ids[:1, 1:5])[0].detach().numpy()).max()
    np.testing.assert_allclose(found.head.arrays["context"], context.detach().numpy(), rtol=0, atol=1e-4 * moved)
    np.testing.assert_allclose(found.head.arrays["prototypes"], prototypes, rtol=0, atol=1e-5)
    assert (found.head.kind, set(found.head.scalars)) == ("coop", {"scale"})


def load_copy(backbone: Backbone) -> Any:
    """The same open_clip model in float64, apart from the one that is trained through."""
    import copy

    return copy.deepcopy(backbone.model).double()


@pytest.mark.parametrize("change", [{}, {"init": "random", "context": 3}, {"class_specific": True}], ids=str)
def test_learned_contexts_lower_the_loss_on_training_images(backbone: Backbone, change: dict[str, Any]) -> None:
    found = trained(backbone, epochs=10, **change)
    losses = [row["loss"] for row in found.history]
    assert losses[-1] < 0.9 * losses[0]
    assert not any(weight.requires_grad for weight in backbone.model.parameters())


def test_the_tower_is_asked_for_once_and_only_by_runs_that_learn_prompts(backbone: Backbone) -> None:
    calls: list[int] = []

    def tower() -> PromptTower:
        calls.append(1)
        return backbone.prompt_tower()

    data = tables(backbone) | {"tower": tower}
    probe = options({"kind": "linear-probe", "epochs": 1, "batch_size": 8})
    other = run()
    train([Run("probe", "t", 1, probe, *rows(other))], **data)
    assert calls == []
    train([other, run(init="random", context=2)], **data)
    assert calls == [1]


def rows(one: Run) -> tuple[Any, ...]:
    return one.train_rows, one.train_labels, one.validation_rows, one.validation_labels


@pytest.mark.parametrize(
    ("change", "data", "error", "message"),
    [
        ({}, {"tower": None}, DataError, "coop, target t, seed 1: kind: coop learns prompts .* without one; leave"),
        ({}, {"names": NAMES[:2]}, DataError, "2 names for 3 classes"),
        # The longest name has 16 - 1 - 13 tokens too many: start, 13 of context, three of its own or more, end.
        ({"init": "random", "context": 13}, {}, ParamsError, r"13 context tokens and the \d+ of 'hippopotamus'"),
        ({"words": "a " * 13}, {}, ParamsError, "13 context tokens .* do not fit the text tower's 16; lower context"),
        ({"words": " "}, {}, ParamsError, "words: ' ' has no token; use init: random"),
    ],
)
def test_bad_input_is_named_before_training(
    backbone: Backbone, change: dict[str, Any], data: dict[str, Any], error: type[Exception], message: str
) -> None:
    epochs: list[int] = []
    adapters = options({"generator": False, "lambda_2": 0.0, "epochs": 1, "batch_size": 8})
    first = Run("adapters", "t", 1, adapters, *rows(run()))
    with pytest.raises(error, match=message):
        train([first, run(**change)], **{**tables(backbone), **data}, on_epoch=lambda done, _: epochs.append(done))
    assert epochs == []


def test_the_built_in_tower_learns(tmp_path: Path) -> None:
    """The head alone is enough for what comes after: nothing of the text tower is kept but its features."""
    from pipeline.backbone.small import MODEL_NAME, WEIGHTS
    from pipeline.fits import read_fits, write_fits
    from pipeline.training.assemble import collect

    small = load_backbone(MODEL_NAME, WEIGHTS, "cpu")
    source = np.random.default_rng(0)
    names = ["zero", "one", "two"]
    text = small.encode_text([f"a photo of the digit {name}." for name in names])
    images = (text[LABELS][:, None] + 3 * source.normal(size=(IMAGES, 1, 128))).astype(np.float32)
    (found,) = train(
        [run(words="a photo of the digit", lr=20.0)], views=images, clean=images[:, 0], text=text, logit_scale=14.5,
        names=names, tower=lambda: small.prompt_tower(),
    )  # fmt: skip
    write_fits(collect([found]), tmp_path)
    head = read_fits(tmp_path).heads[0]
    assert {name: array.shape for name, array in head.arrays.items()} == {"context": (6, 128), "prototypes": (3, 128)}
    assert found.history[-1]["loss"] < found.history[0]["loss"]


def test_runs_side_by_side_are_each_as_if_alone(backbone: Backbone) -> None:
    runs = [run(), run(class_specific=True), run(init="random", context=2), run(lr=0.01)]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        together = train(runs, **tables(backbone))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    for one, found in zip(runs, together, strict=True):
        (alone,) = train([one], **tables(backbone))
        np.testing.assert_allclose(alone.head.arrays["context"], found.head.arrays["context"], atol=1e-5)


def test_stacked_runs_are_each_as_if_alone_in_float64(backbone: Backbone) -> None:
    runs = [run(init="random", context=2, lr=lr) for lr in (0.05, 0.01, 0.02)]
    for one, found in zip(runs, train(runs, **tables(backbone), dtype="float64"), strict=True):
        (alone,) = train([one], **tables(backbone), dtype="float64")
        assert alone.history == found.history
        assert np.array_equal(alone.head.arrays["context"], found.head.arrays["context"])
