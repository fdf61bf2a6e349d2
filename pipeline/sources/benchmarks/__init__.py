"""The known benchmarks, a YAML file each: layouts, counts, names, traps, and the source of each fact."""

from pipeline.sources.benchmarks.catalogue import Benchmark, benchmark, names
from pipeline.sources.benchmarks.recognise import benchmark_source

__all__ = ["Benchmark", "benchmark", "benchmark_source", "names"]
