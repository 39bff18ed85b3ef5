"""The cache goes on with what works, warns once, and tells what it did."""

import logging
from pathlib import Path

import pytest

from tests.redis_server import redis_server
from writing_service.config import ResultCacheSettings, load_settings
from writing_service.result_cache import REST_SECONDS, ResultCache, open_result_cache
from writing_service.result_stores import StoreFailed


class MemoryStore:
    """Fails while it is `broken`; `asked` counts."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.entries = dict[str, bytes]()
        self.broken = set[str]()
        self.asked = 0

    async def get(self, key: str) -> bytes | None:
        self._try("get")
        return self.entries.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self._try("put")
        self.entries[key] = value

    async def remove(self, key: str) -> None:
        self._try("remove")
        self.entries.pop(key, None)

    async def size(self) -> int:
        self._try("size")
        return sum(map(len, self.entries.values()))

    async def close(self) -> None:
        self.broken = {"get", "put", "remove", "size"}

    def _try(self, operation: str) -> None:
        self.asked += 1
        if operation in self.broken:
            raise StoreFailed("no space left")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def text(data: bytes) -> str:
    """Raises ValueError for what is no text."""
    return data.decode()


async def test_hits_and_misses_are_counted():
    cache = ResultCache([MemoryStore()])
    assert await cache.get("a", text) is None
    await cache.put("a", b"one")
    assert await cache.get("a", text) == "one"
    status = await cache.status()
    assert status == {"stores": {"memory": {"working": True}}, "hits": 1, "misses": 1, "bytes": 3}


async def test_a_damaged_entry_is_a_miss_and_is_removed(caplog: pytest.LogCaptureFixture):
    store = MemoryStore()
    store.entries["a"] = b"\xff"
    cache = ResultCache([store])
    assert await cache.get("a", text) is None
    assert store.entries == {}
    assert "damaged entry" in caplog.text


async def test_a_store_that_fails_rests_warns_once_and_comes_back(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO)
    store, clock = MemoryStore(), Clock()
    cache = ResultCache([store], clock)
    store.broken = {"put"}
    for _ in range(5):
        await cache.put("a", b"one")
    assert store.asked == 1
    clock.now += REST_SECONDS
    await cache.put("a", b"one")
    # What can be read still is.
    assert await cache.get("a", text) is None
    assert store.asked == 3
    store.broken = set()
    clock.now += REST_SECONDS
    await cache.put("a", b"one")
    assert await cache.get("a", text) == "one"
    told = [(one.levelname, "works again" in one.message) for one in caplog.records]
    assert told == [("WARNING", False), ("INFO", True)]


async def test_while_the_first_store_fails_the_second_serves():
    first, second, clock = MemoryStore("far"), MemoryStore("near"), Clock()
    cache = ResultCache([first, second], clock)
    await cache.put("a", b"far")
    first.broken = {"get", "put", "size"}
    await cache.put("a", b"near")
    assert await cache.get("a", text) == "near"
    status = await cache.status()
    assert status is not None
    assert [one["working"] for one in status["stores"].values()] == [False, True]
    first.broken = set()
    clock.now += REST_SECONDS
    assert await cache.get("a", text) == "far"


async def test_without_stores_it_is_off():
    cache = ResultCache([])
    await cache.put("a", b"one")
    assert await cache.get("a", text) is None
    assert (cache.enabled, await cache.status()) == (False, None)
    await cache.close()


def names(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir()]


def settings(folder: Path, *overrides: str) -> ResultCacheSettings:
    return load_settings([f"cache.folder={folder}", *overrides]).cache


async def test_by_default_it_is_on_the_disk_and_makes_nothing_before_it_is_used(tmp_path: Path):
    cache = open_result_cache(settings(tmp_path))
    assert names(tmp_path) == []
    await cache.put("a", b"one")
    assert names(tmp_path) == ["pictures"]
    await cache.close()


def test_it_can_be_switched_off(tmp_path: Path):
    assert open_result_cache(settings(tmp_path, "cache.enabled=false")).enabled is False


@pytest.mark.services
async def test_redis_is_asked_first_and_the_disk_serves_while_it_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    clock = Clock()
    with redis_server(tmp_path / "redis") as server:
        cache = open_result_cache(settings(tmp_path, f"cache.redis='{server.url}'"), clock)
        await cache.put("a", b"far")
        assert not (tmp_path / "pictures").exists()
        server.stop()
        assert await cache.get("a", text) is None
        await cache.put("a", b"near")
        assert await cache.get("a", text) == "near"
        server.start()
        clock.now += REST_SECONDS
        await cache.put("a", b"far again")
        assert await cache.get("a", text) == "far again"
        await cache.close()
    assert caplog.text.count("does not work") == 1
