"""How much the service takes on: a deadline for each request, a bounded queue of drawings."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from writing_service.config import ApiSettings
from writing_service.diffusion.doors import Workload
from writing_service.errors import (
    ClientGone,
    DeadlinePassed,
    QueueFull,
    ShuttingDown,
)

_FIRST_GUESS_SECONDS = 10.0
"""Time of a picture before any was drawn."""

T = TypeVar("T")


class Admission:
    """Lets requests in, one context each, and their drawings into the queue.

    After `close` it lets in no more, and after `dismiss` those who are in are sent away. Used on one event loop.
    """

    def __init__(self, settings: ApiSettings, workload: Callable[[], Workload]) -> None:
        """`workload` tells what of the drawings the models have at hand."""
        self._settings = settings
        self._workload = workload
        self._inside = set[asyncio.Timeout]()
        self._drawings = 0
        self._dismissed = False
        self.draining = False

    @property
    def idle(self) -> bool:
        """Whether nobody is inside, and nothing is drawn."""
        return not self._inside and not self._drawings

    @asynccontextmanager
    async def admitted(self, seconds: float | None = None) -> AsyncGenerator[float]:
        """Gives the deadline, in seconds of the monotonic clock; it is so many `seconds` away, None: as configured.

        Raises ShuttingDown, DeadlinePassed.
        """
        self._refuse_if_draining()
        seconds = seconds or self._settings.request_timeout_seconds
        timeout = asyncio.timeout(seconds)
        self._inside.add(timeout)
        try:
            async with timeout:
                yield time.monotonic() + seconds
        except TimeoutError:
            raise self._ended(seconds) from None
        finally:
            self._inside.discard(timeout)

    @contextmanager
    def place(self) -> Generator[None]:
        """A drawing's, in the queue. Raises QueueFull, ShuttingDown."""
        self._refuse_if_draining()
        self._refuse_if_full()
        self._drawings += 1
        try:
            yield
        finally:
            self._drawings -= 1

    def close(self) -> None:
        """Let nobody in any more."""
        self.draining = True

    def dismiss(self) -> None:
        """Let those go who are still inside: each is told that the service shuts down."""
        self.close()
        self._dismissed = True
        for timeout in self._inside:
            timeout.reschedule(asyncio.get_running_loop().time())

    def _refuse_if_draining(self) -> None:
        if self.draining:
            raise ShuttingDown

    def _refuse_if_full(self) -> None:
        load = self._workload()
        # One is always drawn next; more where several share the device.
        waiting = self._drawings - max(1, load.running)
        if waiting >= self._settings.max_queue:
            raise QueueFull(
                f"{waiting} pictures wait to be drawn already, as many as may; try again later.",
                retry_after=_seconds_for(self._drawings, load),
            )

    def _ended(self, seconds: float) -> ShuttingDown | DeadlinePassed:
        if self._dismissed:
            return ShuttingDown()
        return DeadlinePassed(
            f"The picture was not done within {seconds:g} s and was given up; ask for a smaller one, "
            "for fewer steps, or for more time (header X-Request-Timeout)."
        )


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives; it is cancelled when the client closes the connection, which raises ClientGone.

    The request's body must have been read.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGone("The client has closed the connection.")
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait((working, watching))


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _seconds_for(drawings: int, load: Workload) -> float:
    """Until so many are drawn. The models know their own pace; those that are still before them take as long each."""
    known = load.waiting + load.running
    if load.seconds_left is None or not known:
        return _FIRST_GUESS_SECONDS * drawings
    return load.seconds_left * drawings / known
