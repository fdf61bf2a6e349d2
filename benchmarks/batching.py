"""(b) The batched grid against one run after another, and (d) what a step costs as runs, classes and width grow."""

from __future__ import annotations

from typing import Any

from benchmarks.measure import alternate, ratio
from benchmarks.problems import IMAGES, SETTINGS, runs, tables

Row = dict[str, Any]
ALONE = 12  # runs that are really trained one after another; more of them are scaled up, all being alike


def batched_grid(device: str, rounds: int) -> list[Row]:
    """1, 12 and 100 runs at two widths."""
    from pipeline.training.engine import fit

    rows = []
    for width, epochs in ((128, 2), (512, 1)):
        data = tables(width, 7)
        for count in (1, 12, 100):
            grid = runs(count, 7, epochs)
            single = grid[:ALONE]

            def together(grid=grid, data=data):  # type: ignore[no-untyped-def]
                return fit(grid, data, device=device)

            def one_by_one(single=single, data=data):  # type: ignore[no-untyped-def]
                return [fit([run], data, device=device) for run in single]

            times = alternate({"together": together, "one by one": one_by_one}, rounds, device=device)
            scale = count / len(single)
            alone = times["one by one"]._replace(
                wall=[scale * value for value in times["one by one"].wall],
                cpu=[scale * value for value in times["one by one"].cpu],
            )
            faster = ratio(alone, times["together"])
            rows.append({"width": width, "runs": count, "really run one by one": len(single), **_columns(faster)})
    return rows


def step_cost(device: str, rounds: int) -> list[Row]:
    """One mini-batch of every run of the grid, relative to one run at D = 128 and 7 classes."""
    from pipeline.training.engine import fit

    cases = [(1, 7, 128), (4, 7, 128), (28, 7, 128), (100, 7, 128)]
    cases += [(1, 65, 128), (1, 160, 128), (1, 7, 256), (1, 7, 512), (1, 7, 1024)]
    actions = {}
    for count, classes, width in cases:
        data, grid = tables(width, classes), runs(count, classes, 1)
        actions[f"{count} {classes} {width}"] = lambda grid=grid, data=data: fit(grid, data, device=device)
    times = alternate(actions, rounds, device=device)
    base = times["1 7 128"]
    steps = IMAGES // SETTINGS["batch_size"]
    rows = []
    for count, classes, width in cases:
        mine = times[f"{count} {classes} {width}"]
        cost = ratio(mine, base)
        rows.append(
            {
                "runs": count,
                "classes": classes,
                "width": width,
                "cost of a step": cost.median,
                "cost per run": cost.median / count,
                "lowest": cost.low,
                "highest": cost.high,
                "ms a step on this machine": 1e3 * sorted(mine.wall)[len(mine.wall) // 2] / steps,
            }
        )
    return rows


def _columns(value: Any) -> Row:
    return {
        "times faster": value.median, "lowest": value.low, "highest": value.high, "by CPU time": value.cpu,
    }  # fmt: skip
