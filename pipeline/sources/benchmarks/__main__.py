"""Print docs/datasets.md."""

from pipeline.sources.benchmarks.document import page

print(page(), end="")
