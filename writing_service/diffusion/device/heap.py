"""The C library's heap. What is freed stays with the process, in pieces that tensors of another size do not fit into.

On a CPU, under a load that draws now one picture, now four at once, a process grew from 1.3 to 3.3 GB so.
"""

import ctypes
import time
from collections.abc import Callable

EVERY_SECONDS = 5.0
"""Trimming takes tens of milliseconds, and taking pages anew some more."""

Trim = Callable[[int], int]


class Heap:
    """Given back to the system now and then. One thread at a time."""

    def __init__(
        self, trim: Trim | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`trim` stands in for glibc's malloc_trim (tests), `clock` tells seconds."""
        self._trim = trim or _glibc_trim()
        self._clock = clock
        self._next = 0.0

    def trim(self) -> None:
        """Give back what is free, unless that was done a moment ago. Other C libraries than glibc do so themselves."""
        if self._trim is None or self._clock() < self._next:
            return
        self._trim(0)
        self._next = self._clock() + EVERY_SECONDS


def _glibc_trim() -> Trim | None:
    # The symbols of this process: Windows and musl have no such one.
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
