"""(e) Why stacked runs have a leading axis: the same gradients by it and by `torch.func.vmap` of a loss for one run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measure import alternate, ratio

Row = dict[str, Any]
CASES = [(128, 1), (128, 12), (128, 40), (512, 1), (512, 4)]


def run_axis(device: str, rounds: int) -> list[Row]:
    """Gradients of the linear probe's and of the whole adapters' loss, by width and number of runs."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_case(name, width, runs, device, rounds) for width, runs in CASES for name in ("linear-probe", "croft")]
    finally:
        torch.set_num_threads(threads)


def _case(name: str, width: int, runs: int, device: str, rounds: int) -> Row:
    import torch

    loss, start = _probe(width, runs, device) if name == "linear-probe" else _croft(width, runs, device)
    by_run = torch.func.vmap(torch.func.grad(loss))

    def leading() -> Any:
        leaves = [array.detach().requires_grad_() for array in start]
        return torch.autograd.grad(loss(leaves).sum(), leaves)

    expected = leading()
    for own, other in zip(expected, by_run(start), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-4)
    times = alternate({"leading": leading, "vmap": lambda: by_run(start)}, rounds, repeats=5, device=device)
    slower = ratio(times["vmap"], times["leading"])
    return {
        "loss": name, "width": width, "runs": runs, "vmap takes, times as long": slower.median, "lowest": slower.low,
        "highest": slower.high,
    }  # fmt: skip


def _batch(width: int, device: str) -> tuple[Any, Any, Any]:
    """The same mini-batch for all runs: (B, D), (C, D) and (B,)."""
    import torch

    source = torch.Generator().manual_seed(width)
    images, text = (torch.randn(n, width, generator=source).to(device) for n in (32, 7))
    return images, text, (torch.arange(32) % 7).to(device)


def _probe(width: int, runs: int, device: str) -> tuple[Callable[[Any], Any], list[Any]]:
    from pipeline.croft.adapters import cross_entropy, normalise
    from pipeline.methods import linear_probe

    images, text, labels = _batch(width, device)

    def loss(learnt: Any) -> Any:
        rows = images.expand(*learnt[0].shape[:-2], -1, -1)
        return cross_entropy(linear_probe.logits(rows, weight=learnt[0], bias=learnt[1], scale=30.0), labels)

    return loss, [normalise(text).repeat(runs, 1, 1), text.new_zeros(runs, 7)]


def _croft(width: int, runs: int, device: str) -> tuple[Callable[[Any], Any], list[Any]]:
    import torch

    from pipeline.croft.adapters import Weights
    from pipeline.croft.objective import Batch, adapt_batch, adapter_terms
    from pipeline.croft.options import Objective, Ratios

    batch = Batch(*_batch(width, device))
    objective = Objective(Ratios(0.2, 0.5), lambda_1=1.0, lambda_2=1.0, scale=30.0)
    eye = torch.eye(width, device=device)

    def loss(learnt: Any) -> Any:
        weights = Weights(learnt[0], learnt[1], eye.expand_as(learnt[0]))
        return adapter_terms(batch, adapt_batch(batch, weights, objective.ratios), weights, objective)["loss"]

    return loss, [eye.repeat(runs, 1, 1), eye.repeat(runs, 1, 1)]
