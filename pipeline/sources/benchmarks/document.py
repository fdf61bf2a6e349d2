"""The catalogue as a page: `python -m pipeline.sources.benchmarks > docs/datasets.md`; a test compares the two."""

from __future__ import annotations

from pathlib import Path

from pipeline.sources import layouts
from pipeline.sources.benchmarks.catalogue import Benchmark, Layout, benchmark, names

_HEAD = Path(__file__).with_name("page.md")


def page() -> str:
    """The whole of docs/datasets.md."""
    known = [(name, benchmark(name)) for name in names()]
    known.sort(key=lambda item: (item[1].role, item[0]))
    table = ["| name | data set | as | classes | images |", "|---|---|---|---|---|"]
    for name, facts in known:
        role = (
            f"{len(facts.domains)} domains" if len(facts.domains) > 1 else "one domain" if facts.domains else "open set"
        )
        images = f"{facts.expected_images:,}" if facts.expected_images else "?"
        table.append(f"| `{name}` | {facts.title} | {role} | {facts.expected_classes or '?'} | {images} |")
    return (
        _HEAD.read_text(encoding="utf-8").replace("{examples}\n", layouts.page())
        + "\n".join(table)
        + "\n"
        + "".join(_section(name, facts) for name, facts in known)
    )


def _section(name: str, facts: Benchmark) -> str:
    lines = ["", f"### {facts.title}", "", f"`{name}`. {facts.paper}.", "", "Get it from:", ""]
    lines += [f"* {place}" for place in facts.get]
    lines += ["", "Layouts, below the folder that is added:", ""]
    lines += [f"* {_layout(layout)}" for layout in facts.layouts]
    if facts.domains:
        lines += ["", "| domain | also called | images |", "|---|---|---|"]
        for domain, known in facts.domains.items():
            lines.append(f"| {domain} | {', '.join(known.folders)} | {f'{known.images:,}' if known.images else '?'} |")
    renamed = {alias: name for name, aliases in facts.classes.items() for alias in aliases}
    if renamed:
        lines += ["", f"Renamed class folders: {', '.join(f'{a} to {b}' for a, b in renamed.items())}."]
    if facts.prompts:
        lines += ["", f"Names in prompts: {', '.join(f'{b} for {a}' for a, b in facts.prompts.items())}."]
    skipped = {**facts.ignored, **facts.left_aside}
    if skipped:
        lines += ["", f"Skipped: {'; '.join(f'`{a}` ({why})' for a, why in skipped.items())}."]
    if facts.companions:
        lines += ["", f"Read too if they lie in the same folder: {', '.join(facts.companions)}."]
    lines += ["", "Known traps:", "", *(f"* {trap}" for trap in facts.traps)]
    lines += ["", "Sources:", "", *(f"* {cite}" for cite in facts.cites), ""]
    return "\n".join(lines)


def _layout(layout: Layout) -> str:
    kinds = {"wnid": "wnid", "index": "0 to 999", "": "class"}
    path = "/".join([*layout.steps, "image"]).replace("{class}", kinds[layout.names])
    path = path.replace("{domain}", "domain").replace("{part}", "part")
    at = ", ".join(f"`{at}/`" for at in layout.at if at != ".")
    begins = f", or below {at}" if "." in layout.at and at else f" below {at}" if at else ""
    folders = ", ".join(f"{folder} is {part or 'free'}" for folder, part in layout.parts.items())
    parts = f"; part: {folders}" if folders else ""
    part = f"; part: {layout.part}" if layout.part else ""
    return f"`{path}`{begins}{parts}{part} ({layout.cite})"
