"""What users bring, as entries of the workspace's layout: folders, listings, split files, tar shards, benchmarks."""

from pipeline.data.sources.entry import Entry, Source
from pipeline.data.sources.open import KINDS, open_source

__all__ = ["KINDS", "Entry", "Source", "open_source"]
