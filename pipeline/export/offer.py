"""Variants of the exported graph: made, compared with torch, and kept only where their decisions are the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.export.decisions import Reference, breaches, cells
from pipeline.export.names import EXTRAS, variant_file
from pipeline.export.variants import DYNAMIC, FP16, STATIC, to_fp16, to_int8, to_static_int8
from pipeline.hashing import file_sha256

if TYPE_CHECKING:
    from pipeline.params.choice import Export

_CALIBRATION = 64  # images


def offer(
    export: Export, graph: Path, folder: Path, truth: Reference, *, provider: str
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Make each variant of `export.variants`, and delete it again where a limit is not kept.

    Args:
        export: variants and limits.
        graph: the fp32 file.
        folder: where variants are kept.
        truth: torch's answers; its known images decide.
        provider: cpu or cuda; fp16 runs on cuda only, int8 on the CPU only.
    Returns:
        By precision: offered; recipe; why not (a list, empty where it is offered); and for what is kept file, sha256
        and bytes. And the cells of every recipe that was tried.
    """
    found: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for precision in export.variants:
        if precision == FP16 and provider != "cuda":
            why = ["fp16 is for GPUs, and no GPU compares it here: set compute.device to cuda"]
            found[precision] = {"offered": False, "recipe": "", "why_not": why}
            continue
        place = provider if precision == FP16 else "cpu"
        path = folder / variant_file(precision)
        reasons: list[str] = []
        for recipe in ("mixed",) if precision == FP16 else (DYNAMIC, STATIC):
            if recipe == DYNAMIC:
                to_int8(graph, path)
            elif recipe == STATIC:
                to_static_int8(graph, path, truth.pixels[truth.labels >= 0][:_CALIBRATION])
            else:
                to_fp16(graph, path)
            tried = cells(precision, path, truth, provider=place)
            rows += [{"recipe": recipe, **row} for row in tried]
            problems = [f"{recipe}: {text}" for text in breaches(tried, export.limits(precision, place))]
            if not problems:
                kept = {"file": f"{EXTRAS}/{path.name}", "sha256": file_sha256(path), "bytes": path.stat().st_size}
                found[precision] = {"offered": True, "recipe": recipe, "why_not": [], **kept}
                break
            reasons += problems
            path.unlink()
            Path(f"{path}.data").unlink(missing_ok=True)
        else:
            found[precision] = {"offered": False, "recipe": "", "why_not": reasons}
    return found, rows
