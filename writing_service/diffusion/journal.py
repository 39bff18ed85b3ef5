"""LoadJournal: which model is being loaded, how long each took, and what memory its weights take."""

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from writing_service.diffusion.gpu import GPUManager

logger = logging.getLogger(__name__)

_LOADING = threading.RLock()
"""Held while a model is loaded: the libraries change torch for the whole process meanwhile, and two
that load at once would get in each other's way."""

_MIB = 2**20


@dataclass
class Entry:
    """One model. Whoever loads it writes down the bytes of its weights."""

    size: int = 0


class LoadJournal:
    """Tells the progress in the log, and everything in `status`."""

    def __init__(self, gpu: GPUManager) -> None:
        self._gpu = gpu
        self._times_ms = dict[str, float]()
        self._memory_mb = dict[str, float]()
        self.loading: str | None = None

    @property
    def times_ms(self) -> dict[str, float]:
        """By model: of its last load."""
        return dict(self._times_ms)

    def status(self) -> dict[str, Any]:
        """`loading` ("canny ControlNet 2/5" or None), `load_times_ms` and `load_memory_mb` by model."""
        return {
            "loading": self.loading,
            "load_times_ms": self.times_ms,
            "load_memory_mb": dict(self._memory_mb),
        }

    @contextmanager
    def telling(self) -> Generator[Callable[[str], None]]:
        """Gives whom to tell what is being done, until the end of the block."""
        try:
            yield self._tell
        finally:
            self.loading = None

    @contextmanager
    def entry(self, name: str, source: str, count: str = "") -> Generator[Entry]:
        """Around a load; `count` is "2/5". Nothing is written down of one that fails."""
        entry, told, started = Entry(), f"{name} {count}".strip(), time.perf_counter()
        with self.telling(), _LOADING, self._gpu.memory_monitor(f"load {name}"):
            self.loading = told
            logger.info("Loading %s (%s)", told, source)
            yield entry
        self._times_ms[name] = 1000 * (time.perf_counter() - started)
        self._memory_mb[name] = round(entry.size / _MIB, 1)
        took = {"time_ms": self._times_ms[name]}
        logger.info("Loaded %s, %s MiB", told, self._memory_mb[name], extra=took)

    def _tell(self, what: str) -> None:
        self.loading = what
        logger.info("Loading %s", what)
