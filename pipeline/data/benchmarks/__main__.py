"""Print docs/datasets.md."""

from pipeline.data.benchmarks.document import page

print(page(), end="")
