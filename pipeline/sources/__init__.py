"""What users bring, as entries of the workspace's layout: folders, listings, split files, archives, benchmarks."""

from pipeline.sources.entry import Entry, Source
from pipeline.sources.open import open_source
from pipeline.sources.options import KINDS, SourceOptions
from pipeline.sources.report import report

__all__ = ["KINDS", "Entry", "Source", "SourceOptions", "open_source", "report"]
