"""`croft export`: a model as other servers and libraries want it."""

from __future__ import annotations

from pathlib import Path

from pipeline import telemetry
from pipeline.cli.model import choose_model
from pipeline.errors import ParamsError

_UNREGISTERED = "1"  # Triton takes whole numbers only

_LOADING = """```js
import {{ pipeline }} from "@huggingface/transformers";

const classify = await pipeline("image-classification", FOLDER{dtype});  // classes only, without `unknown`
```

`onnx/model.onnx` takes `pixel_values`, prepared as `preprocessor_config.json` says, and gives `logits`, `score` and
`unknown`. `croft/model.onnx` takes uint8 images: `croft predict photo.png --model croft` in this folder.
"""


def export_model(model: str, *, triton: Path | None = None, hf: Path | None = None) -> None:
    """Write exported files, a version or an alias for other programs; nothing is uploaded.

    Raises:
        CroftError: no target is named, a target is not empty, or the model cannot be read.
    """
    if triton is None and hf is None:
        raise ParamsError("nothing to export to; expected --triton DIR or --hf DIR")
    telemetry.disable()
    chosen = choose_model(model)
    if triton is not None:
        from pipeline.export.triton import write_triton

        version = chosen.version if chosen.registered else _UNREGISTERED
        place = write_triton(triton, name=chosen.name, version=version, graph=chosen.graph, card=chosen.card)
        print(f"Triton: {place} holds version {version}")
    if hf is not None:
        from pipeline.cli.card import facts_of
        from pipeline.export.huggingface import write_hf
        from pipeline.registry.card.markdown import render

        facts = facts_of(chosen)
        dtype = "" if "int8" in facts["variants"] else ', { dtype: "fp32" }'
        files = write_hf(
            hf, graph=chosen.graph, card=chosen.card, readme=render(facts, loading=_LOADING.format(dtype=dtype))
        )
        print(f"Hugging Face: {hf} holds {chosen}: {', '.join(files)}")
