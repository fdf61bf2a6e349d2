"""Settings for known data sets and for folders: values with their sources, and their merge into params.yaml."""

from pipeline.cli.presets.files import NAMES, Preset, read_preset
from pipeline.cli.presets.folder import folder_preset
from pipeline.cli.presets.merge import Change, Merged, merge

__all__ = ["NAMES", "Change", "Merged", "Preset", "folder_preset", "merge", "read_preset"]
