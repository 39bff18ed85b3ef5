"""What generations took and how many there were."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from writing_service.errors import InvalidRequest

OnStage = Callable[[str, int, float], None]
"""Called when a stage ends, with its name, its start in nanoseconds since the epoch, and its seconds."""


class StageClock:
    """Milliseconds by stage, and in all."""

    def __init__(self, on_stage: OnStage | None = None) -> None:
        """`on_stage` hears of the stages that are timed here."""
        self._on_stage = on_stage
        self._started = time.perf_counter()
        self.times_ms: dict[str, float] = {}

    @property
    def total_ms(self) -> float:
        """Since the clock was made."""
        return round(1000 * (time.perf_counter() - self._started), 1)

    @contextmanager
    def timed(self, stage: str) -> Generator[None]:
        """The block's time is the stage's."""
        began, started = time.time_ns(), time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        self.add({stage: 1000 * seconds})
        if self._on_stage is not None:
            self._on_stage(stage, began, seconds)

    def add(self, times_ms: Mapping[str, float]) -> None:
        """Times that were taken elsewhere."""
        for stage, passed in times_ms.items():
            self.times_ms[stage] = round(self.times_ms.get(stage, 0.0) + passed, 1)


def tell_in_turn(on_stage: OnStage, began_ns: int, times_ms: Mapping[str, float]) -> None:
    """Tell of stages that followed one another without a gap and were timed elsewhere."""
    for stage, passed in times_ms.items():
        on_stage(stage, began_ns, passed / 1000)
        began_ns += int(1e6 * passed)


class GenerationStatistics:
    """Counts since the start. Used on the event loop only."""

    def __init__(self) -> None:
        self.finished = 0
        self.failed = 0
        self.under_way = 0
        self._seconds = 0.0

    @property
    def average_seconds(self) -> float | None:
        """Of the finished ones, waiting included; None before the first."""
        return self._seconds / self.finished if self.finished else None

    @contextmanager
    def counted(self) -> Generator[None]:
        """The block is one generation; one that its sender must mend does not count as failed."""
        started = time.perf_counter()
        self.under_way += 1
        try:
            yield
        except InvalidRequest:
            raise
        except Exception:
            self.failed += 1
            raise
        finally:
            self.under_way -= 1
        self.finished += 1
        self._seconds += time.perf_counter() - started

    def as_dict(self) -> dict[str, Any]:
        """As `ai_status` tells it."""
        average = self.average_seconds
        return {
            "total_generations": self.finished,
            "failed_generations": self.failed,
            "average_generation_time_ms": None if average is None else round(1000 * average, 1),
        }
