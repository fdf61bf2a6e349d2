"""(c) The energy-gradient penalty and its gradient: closed form against double backward, time and peak memory."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import alternate, peak_bytes, ratio

Row = dict[str, Any]
CASES = [(128, 7), (128, 400), (512, 7), (512, 400), (1024, 7)]
BATCH = 32


def penalty_forms(device: str, rounds: int) -> list[Row]:
    """Value and gradient for both weights, one run, B = 32; on a CPU with one thread, as each chunk of runs has."""
    import torch

    threads = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        return [_case(width, classes, device, rounds) for width, classes in CASES]
    finally:
        torch.set_num_threads(threads)


def _case(width: int, classes: int, device: str, rounds: int) -> Row:
    import torch

    from pipeline.croft.adapters import Weights
    from pipeline.croft.options import Penalty, Ratios
    from pipeline.croft.penalty import energy_gradient_penalty

    source = torch.Generator().manual_seed(width)
    images, text = (torch.randn(1, n, width, generator=source).to(device) for n in (BATCH, classes))
    weights = [torch.eye(width, device=device)[None].clone().requires_grad_() for _ in range(2)]

    def value(form: str, images=images, text=text, weights=weights):  # type: ignore[no-untyped-def]
        choices: Any = Penalty(form=form)  # type: ignore[arg-type]
        penalty = energy_gradient_penalty(images, text, Weights(*weights, None), Ratios(0.2, 0.5), choices)
        return torch.autograd.grad(penalty.sum(), weights)

    actions = {form: lambda form=form, value=value: value(form) for form in ("closed", "double-backward")}
    times = alternate(actions, rounds, repeats=5, device=device)
    faster = ratio(times["double-backward"], times["closed"])
    peaks = {form: peak_bytes(action, device) for form, action in actions.items()}
    return {
        "width": width,
        "classes": classes,
        "times faster": faster.median,
        "lowest": faster.low,
        "highest": faster.high,
        "by CPU time": faster.cpu,
        "share of the memory": peaks["closed"] / peaks["double-backward"],
        "peak MiB, closed": peaks["closed"] / 2**20,
    }
