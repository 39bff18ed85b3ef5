"""What is read at the moment when Prometheus asks: queue, batches, models, GPU."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import (
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

_GIB = 1024**3
_BATCHES = (1, 2, 4, 8, 16, 32, 64)

Read = Callable[[], Mapping[str, Any]]


class ServiceState(Collector):
    """Reads `ai_status` and `gpu_status`, as /health/detailed tells them, each time it is asked. Takes milliseconds."""

    def __init__(self, version: str, in_flight: Callable[[], int], ai: Read, gpu: Read) -> None:
        """`in_flight` is the number of requests that are being drawn or wait for it."""
        self._version = version
        self._in_flight = in_flight
        self._ai = ai
        self._gpu = gpu

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the registry would read everything once when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """A GPU's values only where it tells them."""
        ai = self._ai()
        yield InfoMetricFamily("writing_service", "What is running", {"version": self._version})
        yield _gauge("queue_depth", "Jobs that wait for their first step", ai["queue_depth"])
        yield _gauge("generations_in_flight", "Requests being drawn or waiting", self._in_flight())
        yield _gauge("models_loaded", "1 when the models are in memory", ai["models_loaded"])
        yield _batches((ai["batches"] or {}).get("by_size", {}))
        yield from _of_gpu(self._gpu())


class JobCounts(Collector):
    """Jobs that are not finished, by state, as they were counted last."""

    def __init__(self, unfinished: Callable[[], Mapping[str, int]]) -> None:
        self._unfinished = unfinished

    def describe(self) -> Iterable[Metric]:
        """See ServiceState."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Nothing while nobody has counted."""
        family = GaugeMetricFamily(
            "writing_service_jobs", "Unfinished jobs in the store, of all hosts", labels=["state"]
        )
        for state, count in self._unfinished().items():
            family.add_metric([state], count)
        yield family


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"writing_service_{name}", meaning, float(value))


def _batches(by_size: Mapping[int, int]) -> HistogramMetricFamily:
    """Steps by the number of pictures that shared them."""
    family = HistogramMetricFamily(
        "writing_service_batch_pictures", "Pictures that shared a denoising step"
    )
    counts = [
        (str(float(bound)), sum(steps for size, steps in by_size.items() if size <= bound))
        for bound in _BATCHES
    ]
    counts.append(("+Inf", sum(by_size.values())))
    family.add_metric([], counts, sum(size * steps for size, steps in by_size.items()))
    return family


def _of_gpu(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("gpu_available", "1 when there is a GPU and it answers", status["available"])
    memory = status.get("memory") or {}
    used, total = memory.get("used_gb"), memory.get("total_gb")
    told = {
        "gpu_memory_used_bytes": ("Of all programs", used and used * _GIB),
        "gpu_memory_total_bytes": ("Of the device", total and total * _GIB),
        "gpu_utilization_percent": ("0 to 100", status.get("utilization_percent")),
        "gpu_temperature_celsius": ("Of the card", status.get("temperature_celsius")),
        "gpu_power_watts": ("Of the card", status.get("power_usage_watts")),
    }
    for name, (meaning, value) in told.items():
        if value is not None:
            yield _gauge(name, meaning, value)
