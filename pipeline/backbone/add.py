"""Bring a CLIP into the workspace as one safetensors file and a note, so that no run depends on a hub."""

from __future__ import annotations

import urllib.error
import urllib.request
import warnings
from pathlib import Path
from typing import Any

from pipeline.backbone.load import load_backbone, model_config, quiet_open_clip
from pipeline.backbone.sidecar import sidecar_path, write_sidecar
from pipeline.errors import CheckpointError
from pipeline.tables import atomic_path


def save_backbone(model: str, tag_or_path: str, out: Path) -> Path:
    """Write a model's weights as `out` and what they need beside them.

    Args:
        model: open_clip's model name.
        tag_or_path: a tag of open_clip's hub (`openai`, `laion2b_s34b_b79k`, ...) or a weights file.
        out: the file to write, ending in .safetensors.
    Returns:
        `out`.
    Raises:
        CheckpointError: the name or tag is unknown, the hub cannot be reached, the file does not fit, or the tag's
            weights need another model's activation.
    """
    import open_clip
    from safetensors.torch import save_file

    if out.suffix != ".safetensors":
        raise CheckpointError(f"{out}: expected a name that ends in .safetensors")
    config = model_config(model)
    quick_gelu = bool(config.get("quick_gelu", False))
    tag = open_clip.get_pretrained_cfg(model, tag_or_path)
    if tag:
        wanted = bool(tag.get("quick_gelu", False))
        if wanted != quick_gelu:
            other = f"{model}-quickgelu" if wanted else model.removesuffix("-quickgelu")
            raise CheckpointError(
                f"{model}: the weights {tag_or_path} were trained {'with' if wanted else 'without'} QuickGELU; "
                f"add {other} instead"
            )
        module = _fetch(model, tag_or_path)
        preprocess, source = module.visual.preprocess_cfg, tag_or_path
    elif Path(tag_or_path).is_file():
        backbone = load_backbone(model, Path(tag_or_path), "cpu")
        module = backbone.model
        preprocess = {**module.visual.preprocess_cfg, "mean": backbone.mean, "std": backbone.std}
        source = Path(tag_or_path).name
    else:
        tags = open_clip.list_pretrained_tags_by_model(model)
        raise CheckpointError(
            f"{tag_or_path}: neither a file nor a tag of {model}; its tags: {', '.join(tags) or 'none'}"
        )
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    sidecar_path(out).unlink(missing_ok=True)  # an old note must never stand beside new weights
    with atomic_path(out) as temporary:
        save_file(state, temporary)
    kept = {
        key: _plain(preprocess[key]) for key in ("mean", "std", "interpolation", "resize_mode") if key in preprocess
    }
    write_sidecar(out, model=model, source=source, quick_gelu=quick_gelu, preprocess=kept)
    return out


def _fetch(model: str, tag: str) -> Any:
    import huggingface_hub
    import open_clip

    reached = _reached(huggingface_hub.constants.ENDPOINT)
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    try:
        # the client repeats every request for the better part of a minute; what it has cached it finds at once
        huggingface_hub.constants.HF_HUB_OFFLINE = offline or not reached
        with quiet_open_clip(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the cache and anonymous access; of no use here
            return open_clip.create_model(model, pretrained=tag, weights_only=True)
    except Exception as error:  # the hub's clients raise many kinds
        reason = (
            " ".join(str(error).split())[:200] if reached else f"{huggingface_hub.constants.ENDPOINT} cannot be reached"
        )
        raise CheckpointError(
            f"{model}: the weights {tag} could not be fetched: {reason}; download them elsewhere and give the path"
        ) from None
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = offline


def _reached(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=10).close()  # noqa: S310  a fixed https address; honours proxies
    except urllib.error.HTTPError:
        return True  # it answered
    except OSError:
        return False
    return True


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
