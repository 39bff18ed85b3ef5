"""Coalescing: what several ask for at the same time is done once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from writing_service.diffusion.doors import OnProgress, Progress
from writing_service.errors import DeadlinePassed, QueueFull

T = TypeVar("T")

Work = Callable[[float | None, OnProgress], Awaitable[T]]
"""Is given a deadline, in seconds of the monotonic clock, and whom to tell how far it is."""


class Coalescer(Generic[T]):
    """Work under way, by key. Used on one event loop."""

    def __init__(self) -> None:
        self._under_way = dict[str, _Shared[T]]()

    async def do(
        self,
        key: str,
        work: Work[T],
        deadline: float | None = None,
        on_progress: OnProgress | None = None,
    ) -> tuple[T, bool]:
        """What `work` gives, and whether somebody else had begun it already.

        Whoever is cancelled while waiting leaves alone; when the last one has left, the work is cancelled. A failure
        reaches all, unless it is that the first one's deadline was too near: who has more time begins anew.
        """
        while True:
            shared, joined = self._under_way.get(key), True
            if shared is None:
                shared, joined = self._begin(key, work, deadline), False
            try:
                return await self._wait(key, shared, on_progress), joined
            except (DeadlinePassed, QueueFull):
                if not joined or not _is_later(deadline, shared.deadline):
                    raise

    def _begin(self, key: str, work: Work[T], deadline: float | None) -> "_Shared[T]":
        shared = self._under_way[key] = _Shared(work, deadline)
        shared.task.add_done_callback(lambda _: self._forget(key, shared))
        return shared

    async def _wait(self, key: str, shared: "_Shared[T]", on_progress: OnProgress | None) -> T:
        shared.join(on_progress)
        try:
            # Unlike awaiting the task itself, this leaves it running when whoever waits is cancelled.
            await asyncio.wait([shared.task])
            return shared.task.result()
        finally:
            if not shared.leave(on_progress):
                # At once, so that nobody joins what is being given up.
                self._forget(key, shared)

    def _forget(self, key: str, shared: "_Shared[T]") -> None:
        if self._under_way.get(key) is shared:
            del self._under_way[key]


class _Shared(Generic[T]):
    """Work of one or several, and who waits for it."""

    def __init__(self, work: Work[T], deadline: float | None) -> None:
        self.deadline = deadline
        self.task = asyncio.ensure_future(work(deadline, self._tell))
        self._waiting = list[OnProgress | None]()
        self._told: Progress | None = None

    def join(self, on_progress: OnProgress | None) -> None:
        """One more waits, and hears at once how far it is."""
        self._waiting.append(on_progress)
        if on_progress and self._told:
            on_progress(self._told)

    def leave(self, on_progress: OnProgress | None) -> bool:
        """One less; whether anybody is left. The last one takes the work along."""
        self._waiting.remove(on_progress)
        if not self._waiting:
            self.task.cancel()
        return bool(self._waiting)

    def _tell(self, progress: Progress) -> None:
        self._told = progress
        for on_progress in self._waiting:
            if on_progress:
                on_progress(progress)


def _is_later(mine: float | None, other: float | None) -> bool:
    """None is never."""
    return other is not None and (mine is None or mine > other)
