"""What users bring, as entries of the workspace's layout: folders, listings, split files, tar shards, benchmarks."""

from pipeline.sources.entry import Entry, Source
from pipeline.sources.open import KINDS, open_source

__all__ = ["KINDS", "Entry", "Source", "open_source"]
