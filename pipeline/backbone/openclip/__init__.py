"""open_clip's models behind the protocol; nothing outside this folder touches its modules."""

from pipeline.backbone.openclip.add import save
from pipeline.backbone.openclip.load import load, load_tokenizer
from pipeline.backbone.protocol import Backend

BACKEND = Backend(
    form=r"(hf-hub:\w[\w.-]*/)?\w[\w.-]*",
    expected="an open_clip name such as ViT-B-32, or hf-hub:ORG/NAME (also for a local folder; docs/backbones.md)",
    load=load,
    tokenizer=load_tokenizer,
    save=save,
)
