"""The built-in CLIP: an open_clip model of our own, small enough to ship, loaded like any other checkpoint.

After `register()`, `open_clip.create_model(MODEL_NAME, pretrained=str(WEIGHTS))` and
`open_clip.get_tokenizer(MODEL_NAME)` work as for a model that open_clip knows.
`python -m pipeline.builtin.small_clip.train` makes the weights.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

MODEL_NAME = "croft-small"
_HERE = Path(__file__).resolve().parent
WEIGHTS = _HERE / "croft-small.safetensors"
_CONFIG = _HERE / "model_config.json"
_MERGES = _HERE / "merges.txt.gz"  # the first 2,048 merges of CLIP's own vocabulary (MIT licence, OpenAI)


def register() -> None:
    """Make the model's configuration known to open_clip; calling it again changes nothing."""
    import open_clip

    if MODEL_NAME in open_clip.list_models():
        return
    config = json.loads(_CONFIG.read_text(encoding="utf-8"))
    # the tokenizer opens its merges by path, and only here is it known where this package lies
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(_MERGES)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{MODEL_NAME}.json"  # open_clip takes the model's name from the file's
        path.write_text(json.dumps(config), encoding="utf-8")
        open_clip.add_model_config(path)
