"""ResultCache: finished answers by key, as bytes, in the first of its stores that works."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from writing_service.config import ResultCacheSettings
from writing_service.result_stores import DiskStore, RedisStore, Store, StoreFailed

logger = logging.getLogger(__name__)

REST_SECONDS = 5.0
"""So long a store that has failed is left alone."""

_GIB = 2**30
_DAY_SECONDS = 86400

T = TypeVar("T")
Clock = Callable[[], float]


class ResultCache:
    """Entries in the first of its stores that works; without any, it is switched off.

    A store that fails is a warning, once, and left alone for a while; then it is tried again.
    """

    def __init__(self, stores: Sequence[Store], clock: Clock = time.monotonic) -> None:
        self._shelves = [_Shelf(store, clock) for store in stores]
        self._hits = 0
        self._misses = 0

    @property
    def enabled(self) -> bool:
        """Whether there is a store at all."""
        return bool(self._shelves)

    async def get(self, key: str, read: Callable[[bytes], T]) -> T | None:
        """What `read` makes of the entry; None without one. One for which it raises ValueError is removed."""
        found = None
        if (data := await self._first("get", key)) is not None:
            try:
                found = await asyncio.to_thread(read, data)
            except ValueError as error:
                logger.warning("A damaged entry of the result cache was removed: %s", error)
                await self._first("remove", key)
        self._hits += found is not None
        self._misses += found is None
        return found

    async def put(self, key: str, value: bytes) -> None:
        """Keep it, if that can be done."""
        await self._first("put", key, value)

    async def status(self) -> dict[str, Any] | None:
        """Ready for JSON: `stores` in their order, each `working` or not, `hits`, `misses`, `bytes`; None if off."""
        if not self.enabled:
            return None
        size = await self._first("size")
        stores = {one.name: {"working": one.working} for one in self._shelves}
        return {"stores": stores, "hits": self._hits, "misses": self._misses, "bytes": size}

    async def close(self) -> None:
        """Let go of files and connections."""
        for shelf in self._shelves:
            await shelf.close()

    async def _first(self, operation: str, *given: Any) -> Any:
        for shelf in self._shelves:
            try:
                return await shelf.run(operation, *given)
            except StoreFailed:
                continue
        return None


class _Shelf:
    """A store, and which of its operations have to rest: one on a full disk can still be read."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.name = store.name
        self._store = store
        self._clock = clock
        self._rests_until = dict[str, float]()

    @property
    def working(self) -> bool:
        return not self._rests_until

    async def run(self, operation: str, *given: Any) -> Any:
        """Raises StoreFailed, at once where it did so a moment ago."""
        if self._clock() < self._rests_until.get(operation, 0.0):
            raise StoreFailed
        try:
            answer = await getattr(self._store, operation)(*given)
        except StoreFailed as error:
            self._rest(operation, error)
            raise
        if self._rests_until.pop(operation, None) is not None and self.working:
            logger.info("The result cache (%s) works again", self.name)
        return answer

    async def close(self) -> None:
        await self._store.close()

    def _rest(self, operation: str, error: StoreFailed) -> None:
        if self.working:
            logger.warning(
                "The result cache (%s) does not work (%s); it is tried again every %g s",
                self.name,
                error,
                REST_SECONDS,
            )
        self._rests_until[operation] = self._clock() + REST_SECONDS


def open_result_cache(settings: ResultCacheSettings, clock: Clock = time.monotonic) -> ResultCache:
    """As the settings say; nothing is opened before the first use. Raises ConfigurationError."""
    if not settings.enabled:
        return ResultCache(())
    folder = Path(settings.folder) if settings.folder else user_cache_path("writing-service")
    keep_seconds = settings.keep_days * _DAY_SECONDS
    disk = DiskStore(folder, int(settings.max_gb * _GIB), keep_seconds)
    redis = [RedisStore(settings.redis, keep_seconds)] if settings.redis else []
    return ResultCache([*redis, disk], clock)
