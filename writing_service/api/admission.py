"""How much the service takes on: a bounded queue, a deadline."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from writing_service.config import ApiSettings
from writing_service.errors import DeadlinePassed, QueueFull, ServiceUnavailable
from writing_service.observability.statistics import GenerationStatistics

_FIRST_GUESS_SECONDS = 10.0
"""Time of a picture before any was drawn."""


class Admission:
    """Lets requests in, one context each. After `close` it lets none in."""

    def __init__(self, settings: ApiSettings, statistics: GenerationStatistics) -> None:
        self._settings = settings
        self._statistics = statistics
        self._inside = 0
        self.draining = False

    @asynccontextmanager
    async def admitted(self) -> AsyncGenerator[float]:
        """Gives the deadline, in seconds of the monotonic clock.

        Raises QueueFull, ServiceUnavailable when shutting down, DeadlinePassed.
        """
        self._refuse()
        self._inside += 1
        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                yield time.monotonic() + self._settings.request_timeout_seconds
        except TimeoutError:
            seconds = self._settings.request_timeout_seconds
            raise DeadlinePassed(
                f"The picture was not done within {seconds:g} s and was given up; ask for a smaller "
                "one, or for fewer steps."
            ) from None
        finally:
            self._inside -= 1

    def close(self) -> None:
        """Let nobody in any more."""
        self.draining = True

    def _refuse(self) -> None:
        if self.draining:
            raise ServiceUnavailable("The service is shutting down and draws no more pictures.")
        # One is drawn, the others wait.
        waiting = self._inside - 1
        if waiting >= self._settings.max_queue:
            each = self._statistics.average_seconds or _FIRST_GUESS_SECONDS
            raise QueueFull(
                f"{waiting} requests wait already, as many as are allowed; try again later.",
                retry_after=each * self._inside,
            )
