"""How much the service takes on: a bounded queue, a deadline, a largest body."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from writing_service.api.problems import problem
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


class BodyLimit:
    """ASGI middleware: a body larger than `max_bytes` is answered 413 before it is read whole."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = await self._read(scope, receive)
        if messages is None:
            sentence = f"The body is larger than {self._max_bytes} bytes; send a smaller one."
            await problem(413, sentence)(scope, receive, send)
            return
        await self._app(scope, _replayed(messages, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> list[Message] | None:
        """All messages of the body; None when it is too large."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_bytes:
            return None
        messages, size = list[Message](), 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._max_bytes:
                return None
            if not message.get("more_body", False):
                return messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """First what was read, then whatever else comes."""
    waiting = iter(messages)

    async def next_message() -> Message:
        for message in waiting:
            return message
        return await receive()

    return next_message
