"""Measure what the pipeline saves; `make bench`, or for some parts only:

    python -m benchmarks views grid penalty steps encoding export scale metrics serving --rounds 7 --device auto

Results go to benchmarks/results/ as JSON and Markdown. `views` and `serving` need the outputs of `make run`;
without them `export` measures ViT-B-32 alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from pipeline.device import resolve_device
from pipeline.errors import DataError

Row = dict[str, Any]
RESULTS = Path(__file__).parent / "results"
TITLES = {
    "views": "Cached views against re-encoding at every epoch, built-in data",
    "grid": "All runs together against one after another (B = 32, C = 7, whole method)",
    "penalty": "Penalty with its gradient: closed form against double backward (B = 32)",
    "vmap": "Gradients of many runs: a leading run axis against torch.func.vmap of one run (one thread, B = 32, C = 7)",
    "steps": "Cost of a step, relative to one run at D = 128 and 7 classes",
    "encoding": "Encoding image files with ViT-B-32 against the encoder fed from memory",
    "export": "The exported graph in ONNX Runtime against torch eager, and int8 against fp32, 2 threads of the CPU",
    "scale": "The whole evaluation of one fit on a million images of 400 classes, every open-set score",
    "metrics": "Metrics of 1,000,000 images against pytorch-ood's and scikit-learn's own",
    "serving": "croft serve with the exported graph, JPEG of 227 x 227 pixels, clients on the same machine",
}


def markdown(about: dict[str, Any], parts: dict[str, list[Row]]) -> str:
    """The results as one Markdown page; a column per key, numbers with three digits."""
    lines = ["# Benchmark", "", ", ".join(f"{key}: {value}" for key, value in about.items()), ""]
    for name, rows in parts.items():
        keys = list(rows[0])
        lines += [f"## {TITLES[name]}", "", f"| {' | '.join(keys)} |", f"|{'---|' * len(keys)}"]
        lines += [f"| {' | '.join(_cell(row[key]) for key in keys)} |" for row in rows] + [""]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def measure(names: Sequence[str], device: str, rounds: int, artifacts: Path) -> Iterator[tuple[str, list[Row]]]:
    """Name and rows of each part that is asked for, as they come."""
    from benchmarks.batching import batched_grid, step_cost
    from benchmarks.cached_views import cached_views
    from benchmarks.encoding import encoding
    from benchmarks.exported import exported
    from benchmarks.large_evaluation import large_evaluation
    from benchmarks.metric_times import metric_times
    from benchmarks.penalty_forms import penalty_forms
    from benchmarks.run_axis import run_axis
    from benchmarks.serving import serving
    from pipeline.params import load_params

    parts: dict[str, Callable[[], list[Row]]] = {
        "views": lambda: cached_views(load_params(), artifacts, device),
        "grid": lambda: batched_grid(device, rounds),
        "penalty": lambda: penalty_forms(device, 3 * rounds),
        "vmap": lambda: run_axis(device, 3 * rounds),
        "steps": lambda: step_cost(device, rounds),
        "encoding": lambda: encoding(device, rounds),
        "export": lambda: exported(load_params(), artifacts, rounds),
        "scale": large_evaluation,
        "metrics": lambda: metric_times(rounds),
        "serving": lambda: serving(artifacts, rounds),
    }
    for name in names:
        print(f"measuring: {TITLES[name]}", flush=True)
        try:
            yield name, parts[name]()
        except DataError as error:
            print(f"left out: {error}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(TITLES)}; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    for name in arguments.parts:
        if name not in TITLES:
            parser.error(f"no part is called {name!r}; expected {', '.join(TITLES)}")
    device = resolve_device(arguments.device)
    about = machine(device)
    arguments.results.mkdir(parents=True, exist_ok=True)
    when = str(about["date"])[:16].replace(" ", "-").replace(":", "")
    base = arguments.results / f"{'cuda' if device.startswith('cuda') else 'cpu'}-{when}"
    found: dict[str, list[Row]] = {}
    for name, rows in measure(arguments.parts or list(TITLES), device, arguments.rounds, arguments.artifacts):
        found[name] = rows
        # After each part, so that what was measured before an interruption is not lost.
        base.with_suffix(".md").write_text(markdown(about, found))
        base.with_suffix(".json").write_text(json.dumps({"machine": about, **found}, indent=1) + "\n")
    if not found:
        parser.exit(1, "nothing was measured\n")
    print(f"\n{markdown(about, found)}")


if __name__ == "__main__":
    main()
