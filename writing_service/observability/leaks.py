"""MemoryLeakDetector: whether memory keeps growing from picture to picture.

Memory may rise and be no leak: caches fill, a first large picture takes more. A leak is what has risen by more than
a threshold since the baseline and still rises at the end, in both halves of the last looks, so that one step is none.
"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from statistics import linear_regression
from typing import Any

from writing_service.config import MemoryLeakSettings

logger = logging.getLogger(__name__)

_LOOKS = 12
_FEWEST_LOOKS = 6


class MemoryLeakDetector:
    """Looks at memory after every so many generations. Used on the event loop only."""

    def __init__(self, read_memory_mb: Callable[[], float], settings: MemoryLeakSettings) -> None:
        """`read_memory_mb` gives MiB in use now."""
        self._read = read_memory_mb
        self._settings = settings
        self._baseline: float | None = None
        self._looks = deque[tuple[int, float]](maxlen=_LOOKS)
        self._warned = False
        self.generation_count = 0

    def start_monitoring(self) -> None:
        """What is in use now is the baseline; generations count from here."""
        self._baseline = self._read()
        self._looks.clear()
        self._warned = False
        self.generation_count = 0
        logger.info("Memory is watched from here on", extra={"memory_mb": self._baseline})

    @contextmanager
    def counted(self) -> Generator[None]:
        """The block is one generation, whatever becomes of it."""
        try:
            yield
        finally:
            self.after_generation()

    def after_generation(self) -> None:
        """Count one; look when it is time, and warn at the first leak.

        Monitoring starts by itself after the first `settle` generations, in which models load and caches fill.
        """
        every = self._settings.check_every
        if every is None:
            return
        self.generation_count += 1
        if self._baseline is None:
            if self.generation_count >= self._settings.settle:
                self.start_monitoring()
        elif self.generation_count % every == 0:
            self._looks.append((self.generation_count, self._read()))
            self._warn(self.check_for_leaks())

    def check_for_leaks(self) -> dict[str, Any]:
        """As it stands now, MiB; None where it is not known yet.

        `slope_mb_per_generation` is that of the last looks, the smaller of their two halves'.
        """
        current = self._read()
        risen = None if self._baseline is None else current - self._baseline
        slope = _steady_slope(tuple(self._looks))
        per_generation = None if risen is None else risen / max(1, self.generation_count)
        return {
            "leak_detected": (risen or 0) > self._settings.threshold_mb
            and (slope or 0) > self._settings.slope_mb,
            "baseline_memory_mb": _rounded(self._baseline),
            "current_memory_mb": _rounded(current),
            "memory_diff_mb": _rounded(risen),
            "generation_count": self.generation_count,
            "memory_per_generation_mb": _rounded(per_generation),
            "slope_mb_per_generation": _rounded(slope),
        }

    def _warn(self, found: dict[str, Any]) -> None:
        if not found["leak_detected"] or self._warned:
            return
        self._warned = True
        logger.warning(
            "Memory keeps growing: %.0f MB more than at the baseline after %d generations, %.2f MB with each",
            found["memory_diff_mb"],
            found["generation_count"],
            found["slope_mb_per_generation"],
        )


def _steady_slope(looks: Sequence[tuple[int, float]]) -> float | None:
    """MiB a generation by which memory rises at least; None while there are too few looks to say."""
    if len(looks) < _FEWEST_LOOKS:
        return None
    middle = len(looks) // 2
    return min(_slope(looks[:middle]), _slope(looks[middle:]))


def _slope(looks: Sequence[tuple[int, float]]) -> float:
    generations, memory = zip(*looks, strict=True)
    return linear_regression(generations, memory).slope


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
