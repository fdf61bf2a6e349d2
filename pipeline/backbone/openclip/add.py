"""Bring a CLIP into the workspace as one safetensors file and a note, so that no run depends on a hub."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.backbone.checkpoint import tensor_shapes
from pipeline.backbone.openclip.config import CONFIG_FILE, HUB, check_config, model_config, quiet_open_clip
from pipeline.backbone.openclip.load import build, load, square_side
from pipeline.backbone.sidecar import sidecar_path, write_sidecar
from pipeline.errors import CheckpointError, DataError
from pipeline.tables import atomic_path, read_json

WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
"""Names of the weights in a repository of the hub, in order of preference."""


def save(model: str, source: str, out: Path) -> None:
    """As `save_backbone`.

    Args:
        model: open_clip's name, or hf-hub:ORG/NAME.
        source: for open_clip's names a tag (`openai`, `laion2b_s34b_b79k`, ...) or a weights file; for a hub's model a
            folder with its files, or "" to fetch them.
        out: the file to write.
    """
    config = None
    if model.startswith(HUB):
        folder = Path(source) if source else _download(model.removeprefix(HUB))
        config, module, preprocess = _read_folder(model, folder)
        source = folder.name if source else model
        quick_gelu = bool(config.get("quick_gelu", False))
    else:
        quick_gelu = bool(model_config(model).get("quick_gelu", False))
        module, preprocess = _read_named(model, source, quick_gelu)
        source = Path(source).name
    _write(module.state_dict(), out)
    kept = {key: preprocess[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in preprocess}
    kept = {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}
    write_sidecar(out, model=model, source=source, quick_gelu=quick_gelu, preprocess=kept, config=config)


def _read_named(model: str, source: str, quick_gelu: bool) -> tuple[Any, Mapping[str, Any]]:
    import open_clip

    tag = open_clip.get_pretrained_cfg(model, source)
    if tag:
        trained = bool(tag.get("quick_gelu", False))
        if trained != quick_gelu:
            other = f"{model}-quickgelu" if trained else model.removesuffix("-quickgelu")
            raise CheckpointError(
                f"{model}: the weights {source} were trained {'with' if trained else 'without'} QuickGELU; "
                f"add {other} instead"
            )
        square_side(1, tag, model)  # before gigabytes are fetched
        with _hub(f"{model}: the weights {source}"), quiet_open_clip():
            module = open_clip.create_model(model, pretrained=source, weights_only=True)
        return module, module.visual.preprocess_cfg
    if Path(source).is_file():
        backbone = load(model, Path(source), "cpu")
        _, mean, std = backbone.preprocessing
        return backbone.model, {**backbone.model.visual.preprocess_cfg, "mean": mean, "std": std}
    tags = open_clip.list_pretrained_tags_by_model(model)
    problem = (
        f"{source}: neither a file nor a tag of {model}" if source else f"{model}: expected a tag or a weights file"
    )
    raise CheckpointError(f"{problem}; its tags: {', '.join(tags) or 'none'}")


def _read_folder(model: str, folder: Path) -> tuple[dict[str, Any], Any, Mapping[str, Any]]:
    """The architecture, the module and the preprocessing of a folder as open_clip's hub repositories are."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; expected one with {CONFIG_FILE} and {WEIGHTS_FILES[0]}")
    try:
        content = read_json(folder / CONFIG_FILE)
    except DataError:
        raise CheckpointError(
            f"{folder}: {CONFIG_FILE} is missing or no JSON; expected the folder of an open_clip model"
        ) from None
    content = content if isinstance(content, dict) else {}
    config, preprocess = check_config(model, content.get("model_cfg")), content.get("preprocess_cfg") or {}
    weights = next((folder / name for name in WEIGHTS_FILES if (folder / name).is_file()), None)
    if weights is None:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth"))
        hint = (
            f"; {pickles[0]} is a pickle, which could run code: convert it with safetensors.torch.save_file"
            if pickles
            else ""
        )
        raise CheckpointError(f"{folder}: expected {' or '.join(WEIGHTS_FILES)}{hint}")
    module = build(model, weights, tensor_shapes(weights), config, preprocess, "cpu").model
    return config, module, {**module.visual.preprocess_cfg, **preprocess}


def _download(repository: str) -> Path:
    """The folder, in the hub's cache, that holds the files of a repository; never its pickles."""
    import huggingface_hub

    with _hub(f"{HUB}{repository}: its files"):
        return Path(huggingface_hub.snapshot_download(repository, allow_patterns=[CONFIG_FILE, *WEIGHTS_FILES]))


@contextlib.contextmanager
def _hub(what: str) -> Iterator[None]:
    """Requests to the hub: failures become one line, and a hub that does not answer is not asked again and again."""
    from huggingface_hub import constants

    reached = _reached(constants.ENDPOINT)
    offline = constants.HF_HUB_OFFLINE
    try:
        # the client repeats every request for the better part of a minute; offline, it reads its cache at once
        constants.HF_HUB_OFFLINE = offline or not reached
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the cache and anonymous access; of no use here
            yield
    except Exception as error:  # the hub's clients raise many kinds
        reason = " ".join(str(error).split())[:200] if reached else f"{constants.ENDPOINT} cannot be reached"
        raise CheckpointError(
            f"{what} could not be fetched: {reason}; download them elsewhere and give the path"
        ) from None
    finally:
        constants.HF_HUB_OFFLINE = offline


def _reached(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=10).close()  # noqa: S310  a fixed https address; honours proxies
    except urllib.error.HTTPError:
        return True  # it answered
    except OSError:
        return False
    return True


def _write(state: Mapping[str, Any], out: Path) -> None:
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    sidecar_path(out).unlink(missing_ok=True)  # an old note must never describe new weights
    with atomic_path(out) as temporary:
        save_file(tensors, temporary)
