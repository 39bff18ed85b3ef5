"""A drawing as a stream of messages from the replica that draws: it began, how far it is, the end.

`drawing` makes them on the replica, `cluster/remote.py` reads them.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from writing_service.diffusion.doors import Progress
from writing_service.errors import WritingServiceError
from writing_service.generation import PictureGenerator
from writing_service.observability.observer import CacheOutcome
from writing_service.observability.request_id import REQUEST_ID
from writing_service.types import AIGenerationResult, ConditioningKind, WritingRequest

StageTimes = list[tuple[str, int, float]]
"""Of each stage its name, its start in nanoseconds since the epoch, and its seconds."""


@dataclass(frozen=True)
class Commission:
    """What a replica is asked for. `seconds_left` is until the deadline: clocks of two hosts do not agree on more.

    `request_id` is for the replica's log.
    """

    request: WritingRequest
    seconds_left: float | None = None
    preview_every: int = 0
    request_id: str | None = None


@dataclass(frozen=True)
class Began:
    """The replica has the request: if it dies now, the request may be why."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """The end. `result` lacks its control images, which were told on the way; `kinds` names them in order."""

    result: AIGenerationResult
    kinds: tuple[ConditioningKind, ...]
    stages: StageTimes


@dataclass(frozen=True, eq=False)
class Failed:
    """The end without pictures, for a reason that the service knows."""

    error: WritingServiceError


Message = Began | Progress | Drawn | Failed

_STAGES: ContextVar[StageTimes | None] = ContextVar("stages", default=None)


class StageRecorder:
    """An Observer on the replica: keeps the stages of each request, to be told to whoever asked for it."""

    @contextmanager
    def generation(self, style: str) -> Generator[None]:
        """See Observer."""
        yield

    def stage(self, name: str, started_ns: int, seconds: float) -> None:
        """See Observer."""
        if (stages := _STAGES.get()) is not None:
            stages.append((name, started_ns, seconds))

    def drawn(self, metadata: Mapping[str, Any]) -> None:
        """See Observer; the metadata are in the result."""

    def cached(self, outcome: CacheOutcome) -> None:
        """See Observer; replicas have no cache of pictures."""


async def drawing(generator: PictureGenerator, commission: Commission) -> AsyncGenerator[Message]:
    """Closing it gives the drawing up at its next step. Raises only what nobody foresaw."""
    yield Began()
    told = asyncio.Queue[Message | None]()
    work = asyncio.create_task(_draw(generator, commission, told))
    work.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (message := await told.get()) is not None:
            yield message
        await work
    finally:
        work.cancel()


async def _draw(
    generator: PictureGenerator, asked: Commission, told: asyncio.Queue[Message | None]
) -> None:
    stages: StageTimes = []
    # Of this task alone.
    _STAGES.set(stages)
    REQUEST_ID.set(asked.request_id)
    deadline = None if asked.seconds_left is None else time.monotonic() + asked.seconds_left
    try:
        result = await generator.generate(
            asked.request, told.put_nowait, deadline, asked.preview_every
        )
    except WritingServiceError as error:
        told.put_nowait(Failed(error))
    else:
        kinds = tuple(result.control_images)
        told.put_nowait(Drawn(replace(result, control_images={}), kinds, stages))
