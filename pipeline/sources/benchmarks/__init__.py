"""The benchmarks that are known, a YAML file each: layouts, counts, names, traps, and where each fact is from."""

from pipeline.sources.benchmarks.catalogue import Benchmark, benchmark, names
from pipeline.sources.benchmarks.recognise import benchmark_source

__all__ = ["Benchmark", "benchmark", "benchmark_source", "names"]
