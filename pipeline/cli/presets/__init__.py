"""Settings for data sets that people have: YAML files of values with their sources, and how params.yaml takes them."""

from pipeline.cli.presets.files import NAMES, Preset, read_preset
from pipeline.cli.presets.folder import folder_preset
from pipeline.cli.presets.merge import Change, Merged, merge

__all__ = ["NAMES", "Change", "Merged", "Preset", "folder_preset", "merge", "read_preset"]
