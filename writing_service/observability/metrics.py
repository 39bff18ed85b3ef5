"""ServiceMetrics: what Prometheus is told. Each app has a registry of its own.

Labels take a few values that are known beforehand: nothing that a request says becomes one.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.registry import Collector

from writing_service.errors import DeadlinePassed, InvalidRequest, ServiceUnavailable
from writing_service.observability.observer import CacheOutcome

# From a cached answer to a picture of many steps on a busy CPU.
_LONG = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)
# From what only touches memory on.
_SHORT = (0.001, 0.005, 0.01, 0.025, *_LONG)
# 0.5 is an invisible word, 1 a perfect one; the gate's threshold is 0.9.
_SCORES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0)


class ServiceMetrics:
    """An Observer, and what the HTTP side counts of its own. Used on the event loop only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        own = self.registry
        self._generations = Counter(
            "writing_service_generations",
            "Requests that reached the models",
            ("style", "outcome"),
            registry=own,
        )
        self._generation_seconds = Histogram(
            "writing_service_generation_seconds",
            "Drawing for one request, waiting included",
            buckets=_LONG,
            registry=own,
        )
        self._stage_seconds = Histogram(
            "writing_service_stage_seconds",
            "One stage of a request",
            ("stage",),
            buckets=_SHORT,
            registry=own,
        )
        self._pictures = Counter(
            "writing_service_pictures", "Pictures that were drawn", registry=own
        )
        self._legibility = Histogram(
            "writing_service_legibility_score",
            "How well words stand out, 0.5 to 1",
            buckets=_SCORES,
            registry=own,
        )
        self._cache = Counter(
            "writing_service_cache_requests",
            "Answers by where they came from",
            ("outcome",),
            registry=own,
        )
        self._refusals = Counter(
            "writing_service_refusals", "Requests turned away", ("reason",), registry=own
        )
        self._requests = Counter(
            "writing_service_http_requests",
            "Answered requests",
            ("method", "route", "status"),
            registry=own,
        )
        self._request_seconds = Histogram(
            "writing_service_http_request_seconds",
            "Until the last byte",
            ("route",),
            buckets=_SHORT,
            registry=own,
        )
        self.in_flight = Gauge(
            "writing_service_http_requests_in_flight", "Requests being answered", registry=own
        )
        for outcome in CacheOutcome:
            self._cache.labels(outcome.value)

    def watch(self, state: Collector) -> None:
        """`state` is read when Prometheus asks, not counted."""
        self.registry.register(state)

    @contextmanager
    def generation(self, style: str) -> Generator[None]:
        """See Observer."""
        outcome = "cancelled"
        try:
            with self._generation_seconds.time():
                yield
            outcome = "drawn"
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            self._generations.labels(style, outcome).inc()

    def stage(self, name: str, started_ns: int, seconds: float) -> None:
        """See Observer."""
        self._stage_seconds.labels(name).observe(seconds)

    def drawn(self, metadata: Mapping[str, Any]) -> None:
        """See Observer."""
        pictures = metadata["legibility"]["pictures"]
        self._pictures.inc(len(pictures))
        for one in pictures:
            self._legibility.observe(one["score"])

    def cached(self, outcome: CacheOutcome) -> None:
        """See Observer."""
        self._cache.labels(outcome.value).inc()

    def refused(self, reason: str) -> None:
        """A request was turned away; `reason` is one of the code's own words."""
        self._refusals.labels(reason).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """`method` and `route` are the app's own, "other" where the request's is none of them."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)


def _outcome(error: Exception) -> str:
    for kind, outcome in _OUTCOMES.items():
        if isinstance(error, kind):
            return outcome
    return "failed"


_OUTCOMES: Mapping[type[Exception], str] = {
    InvalidRequest: "invalid",
    ServiceUnavailable: "unavailable",
    DeadlinePassed: "late",
}
