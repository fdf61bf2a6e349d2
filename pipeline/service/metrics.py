"""Numbers for Prometheus, in a registry of the server's own."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters, gauges and histograms; docs/serving.md says what each one means."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "croft_requests", "Requests by route and HTTP status.", ("route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "croft_request_seconds", "From a request's head to its answer.", ("route",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.batch_images = Histogram(
            "croft_batch_images", "Images of one inference.", buckets=_SIZES, registry=registry
        )
        self.queue_images = Gauge("croft_queue_images", "Images that are admitted and not answered.", registry=registry)
        self.images = Counter(
            "croft_images", "Images by version and outcome: known, unknown or error.", ("version", "outcome"),
            registry=registry,
        )  # fmt: skip
        self.model = Gauge(
            "croft_model_info", "1 for the version that answers.", ("name", "version"), registry=registry
        )
        self.swaps = Counter("croft_model_swaps", "Versions that replaced another one.", registry=registry)
        self.load_failures = Counter(
            "croft_model_load_failures", "Looks at the registry that failed, or whose version did.", registry=registry
        )
        self.log_rows = Counter("croft_log_rows", "Rows written to the log of predictions.", registry=registry)
        self.log_failures = Counter("croft_log_failures", "Files of that log that were not written.", registry=registry)
        self.log_dropped = Counter("croft_log_dropped_rows", "Rows that the full buffer gave up.", registry=registry)
        self._served: tuple[str, str] | None = None

    def queue_from(self, length: Callable[[], float]) -> None:
        """Where the length of the queue is read when it is asked for."""
        self.queue_images.set_function(length)

    def serves(self, name: str, version: str) -> None:
        """Another version answers from now on."""
        if self._served:
            self.model.remove(*self._served)
            self.swaps.inc()
        self._served = (name, version)
        self.model.labels(name, version).set(1)

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        return generate_latest(self._registry)
