"""Where the result cache's entries lie: on disk, or in Redis.

Nothing that is read from there is ever run: whoever can write there can bring in wrong pictures, not code.
"""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol, TypeVar

from diskcache_community import Cache, Disk, ReadOnlyError, Timeout

from writing_service.errors import ConfigurationError

_REDIS_SECONDS = 1.0
"""So long Redis may take: a picture is drawn in little more."""

_BINARY_FILE = 2
"""The library's mark of values that are files of bytes; others are text, or pickles, which can run code."""

_NOT_NOW = (OSError, sqlite3.OperationalError, Timeout, ReadOnlyError, MemoryError)
"""What a disk or a busy index may be the cause of; all else means that the index is damaged."""

_OWN_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")

T = TypeVar("T")


class StoreFailed(Exception):
    """A store cannot be read or written now; the message says why."""


class Store(Protocol):
    """Where entries lie. Whatever it is asked, it may raise StoreFailed."""

    name: str

    async def get(self, key: str) -> bytes | None:
        """What was put there, unless it had to go."""
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep it, for as long as there is room."""
        ...

    async def remove(self, key: str) -> None:
        """Forget one."""
        ...

    async def size(self) -> int | None:
        """Bytes of all entries; None where that cannot be told."""
        ...

    async def close(self) -> None:
        """Let go of files and connections."""
        ...


class DiskStore:
    """In a folder of its own inside `folder`, up to `max_bytes`; the least recently used go first.

    Several processes may share it. What a killed process left half done is cleared away at the start.
    """

    name = "disk"

    def __init__(self, folder: Path, max_bytes: int, keep_seconds: float) -> None:
        self._folder = folder / "pictures"
        self._max_bytes = max_bytes
        self._keep_seconds = keep_seconds
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="result-cache")
        self._opened: Cache | None = None

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        return await self._run(lambda cache: _bytes_at(cache, key))

    async def put(self, key: str, value: bytes) -> None:
        """See Store."""
        await self._run(lambda cache: self._put(cache, key, value))

    async def remove(self, key: str) -> None:
        """See Store."""
        await self._run(lambda cache: cache.delete(key))

    async def size(self) -> int:
        """See Store."""
        return await self._run(lambda cache: cache.volume())

    async def close(self) -> None:
        """See Store."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._forget)
        self._worker.shutdown()

    async def _run(self, work: Callable[[Cache], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._tried, work)

    def _tried(self, work: Callable[[Cache], T]) -> T:
        """On the worker. The library's errors become ours here, once."""
        try:
            return work(self._cache())
        except _NOT_NOW as error:
            self._forget()
            raise StoreFailed(error) from None
        except Exception as error:
            # The index itself is damaged, and it is only a cache.
            self._forget()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise StoreFailed(f"its index is damaged, all entries are given up: {error}") from None

    def _put(self, cache: Cache, key: str, value: bytes) -> None:
        cache.set(key, value, expire=self._keep_seconds)
        # By itself the library lets go ten at a time, however small they are.
        if cache.volume() > self._max_bytes:
            cache.cull()

    def _cache(self) -> Cache:
        if self._opened is None:
            self._opened = Cache(
                str(self._folder),
                disk=_BytesAlone,
                size_limit=self._max_bytes,
                cull_limit=0,
                eviction_policy="least-recently-used",
            )
            if not self._opened.read_only:
                self._opened.expire()
                self._sweep()
        return self._opened

    def _sweep(self) -> None:
        """Take away files that a killed process has written and not entered."""
        with closing(sqlite3.connect(self._folder / "cache.db")) as index:
            known = {Path(name) for (name,) in index.execute("SELECT filename FROM Cache") if name}
        for file in self._folder.glob("??/??/*.val"):
            if file.relative_to(self._folder) not in known:
                file.unlink(missing_ok=True)

    def _forget(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


class RedisStore:
    """In a Redis server, which bounds its memory itself (`maxmemory`, `allkeys-lru`)."""

    name = "redis"

    def __init__(self, url: str, keep_seconds: float) -> None:
        """Connects at the first use. Raises ConfigurationError without the package, or for a wrong URL."""
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
        except ImportError:
            raise ConfigurationError(
                "Setting 'cache.redis' needs a package: pip install 'writing-service[redis]'."
            ) from None
        # Once again: a server that was started anew has dropped the connections that are at hand.
        waits: Mapping[str, Any] = {
            "socket_timeout": _REDIS_SECONDS,
            "socket_connect_timeout": _REDIS_SECONDS,
            "retry": Retry(NoBackoff(), 1),
        }
        try:
            self._redis: Any = Redis.from_url(url, **waits)
        except ValueError as error:
            raise ConfigurationError(f"Setting 'cache.redis' is wrong: {error}.") from None
        self._errors = (RedisError, OSError)
        self._keep_seconds = keep_seconds

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        return await self._tried(self._redis.get(_redis_key(key)))

    async def put(self, key: str, value: bytes) -> None:
        """See Store."""
        await self._tried(
            self._redis.set(_redis_key(key), value, px=int(1000 * self._keep_seconds))
        )

    async def remove(self, key: str) -> None:
        """See Store."""
        await self._tried(self._redis.delete(_redis_key(key)))

    async def size(self) -> None:
        """See Store: others may use the server, too."""

    async def close(self) -> None:
        """See Store."""
        await self._redis.aclose()

    async def _tried(self, answer: Awaitable[T]) -> T:
        """The library's errors become ours here, once."""
        try:
            return await answer
        except self._errors as error:
            raise StoreFailed(error) from None


class _BytesAlone(Disk):
    """Takes and gives bytes, as files of names that the library has made; never a pickle."""

    def store(self, value: Any, read: bool, key: Any = None) -> Any:
        """See Disk. A file that does not fit on the disk is not left there."""
        name, path = self.filename(key, value)
        file = Path(path)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_bytes(value)
        except OSError:
            file.unlink(missing_ok=True)
            raise
        return len(value), _BINARY_FILE, name, None

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> Any:
        """See Disk. Raises ValueError for whatever `store` has not written."""
        if mode != _BINARY_FILE or not _is_own(filename):
            raise ValueError("it is not one of the service's own")
        return super().fetch(mode, filename, value, read)

    def get(self, key: Any, raw: Any) -> Any:
        """See Disk. Raises ValueError for keys that are no text."""
        if not raw:
            raise ValueError("its key is not one of the service's own")
        return super().get(key, raw)

    def remove(self, file_path: Any) -> None:
        """See Disk. Leaves alone what lies elsewhere."""
        if _is_own(file_path):
            super().remove(file_path)


def _is_own(name: object) -> bool:
    return _OWN_NAME.fullmatch(str(name).replace("\\", "/")) is not None


def _bytes_at(cache: Cache, key: str) -> bytes | None:
    try:
        return cache.get(key)
    except ValueError:
        cache.delete(key)
        return None


def _redis_key(key: str) -> str:
    return f"writing-service:picture:{key}"
