"""What replicas tell of themselves, and the board where it hangs.

A replica reports every second; one that has not been heard of for a while is gone, but what it has drawn still counts.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from writing_service.diffusion.doors import GPUWatch, Workload
from writing_service.generation import PictureGenerator

EVERY_SECONDS = 1.0
"""From one report to the next."""
FRESH_SECONDS = 10.0
"""So long a replica counts without a new one: it may be busy importing or compiling."""


@dataclass(frozen=True)
class Report:
    """One replica that draws, as its own doors tell it. `diagnostics` are those of its device."""

    replica: str
    node: str
    reasons: tuple[str, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    workload: Workload = field(default_factory=Workload)
    description: Mapping[str, Any] = field(default_factory=dict)
    memory_leak: Mapping[str, Any] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    memory_usage: Mapping[str, float | None] = field(default_factory=dict)
    memory_in_use_mb: float = 0.0
    batch_sizes: tuple[int, ...] = ()
    identity: str | None = None


@dataclass(frozen=True)
class Counts:
    """Generations of a replica since its start; `seconds` of all that finished."""

    finished: int = 0
    failed: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.finished + other.finished,
            self.failed + other.failed,
            self.seconds + other.seconds,
        )

    @property
    def average_ms(self) -> float | None:
        """None before the first."""
        return round(1000 * self.seconds / self.finished, 1) if self.finished else None


@dataclass(frozen=True)
class Standing:
    """The board at one moment: who draws, what was drawn in all, how many take requests in."""

    live: tuple[Report, ...] = ()
    counts: Counts = Counts()
    ingresses: int = 0


def report_of(
    replica: str,
    node: str,
    generator: PictureGenerator,
    gpu: GPUWatch,
    identity: Callable[[], str | None],
) -> Report:
    """Reads files and asks the device: not on the event loop."""
    return Report(
        replica,
        node,
        tuple(generator.check()),
        generator.get_status(),
        generator.workload(),
        generator.describe(),
        generator.memory_leak(),
        gpu.get_diagnostics(),
        dict(gpu.get_memory_usage()),
        gpu.memory_in_use_mb(),
        gpu.fixed_batch_sizes(generator.default_side),
        identity(),
    )


class Board:
    """The last word of every replica, and its metrics as they were pickled."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock = clock
        self._reports = dict[str, Report]()
        self._counts = dict[str, Counts]()
        self._metrics = dict[str, bytes]()
        self._heard = dict[str, float]()

    def post(self, report: Report, metrics: bytes) -> None:
        """Of a replica that draws."""
        self._hear(report.replica, metrics)
        self._reports[report.replica] = report
        self._counts[report.replica] = _counts(report.status)

    def exchange(self, ingress: str, metrics: bytes) -> Standing:
        """An ingress tells its metrics and learns how all stands."""
        self._hear(ingress, metrics)
        live = tuple(report for name, report in self._reports.items() if name in self._heard)
        counts = sum(self._counts.values(), Counts())
        return Standing(live, counts, len(self._heard) - len(live))

    def metrics(self) -> Mapping[str, bytes]:
        """By replica, ingresses among them."""
        self._forget()
        return dict(self._metrics)

    def _hear(self, name: str, metrics: bytes) -> None:
        self._heard[name] = self._clock()
        self._metrics[name] = metrics
        self._forget()

    def _forget(self) -> None:
        """Those who are gone; their counts stay."""
        now = self._clock()
        for name in [one for one, at in self._heard.items() if now - at > FRESH_SECONDS]:
            del self._heard[name], self._metrics[name]
            self._reports.pop(name, None)


def _counts(status: Mapping[str, Any]) -> Counts:
    finished = status.get("total_generations", 0)
    average = status.get("average_generation_time_ms") or 0.0
    return Counts(finished, status.get("failed_generations", 0), finished * average / 1000)
