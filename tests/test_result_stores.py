"""Stores keep bytes, run nothing that they find, and say when they fail."""

import os
import pickle
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.redis_server import RedisServer, redis_server
from writing_service.errors import ConfigurationError
from writing_service.result_stores import DiskStore, RedisStore, StoreFailed

MIB = 2**20
DAY = 86400.0
KEY = "a" * 64


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path, 20 * MIB, DAY)
    yield opened
    await opened.close()


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "pictures").rglob("*.val"))


def index(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "pictures" / "cache.db", isolation_level=None)


async def test_what_is_put_is_got_until_it_is_removed_also_by_the_next_process(
    store: DiskStore, tmp_path: Path
):
    assert await store.get(KEY) is None
    await store.put(KEY, b"picture")
    other = DiskStore(tmp_path, 8 * MIB, DAY)
    assert await store.get(KEY) == await other.get(KEY) == b"picture"
    await other.close()
    await store.remove(KEY)
    assert await store.get(KEY) is None
    assert entries(tmp_path) == []


async def test_it_stays_below_its_limit_and_the_least_recently_used_go(store: DiskStore):
    for number in range(40):
        await store.put(f"{number}", bytes(MIB))
        await store.get("0")
    assert await store.size() < 20 * MIB
    assert await store.get("0") is not None
    assert await store.get("39") is not None
    assert await store.get("1") is None


async def test_entries_have_an_end(tmp_path: Path):
    brief = DiskStore(tmp_path, MIB, 0.0)
    await brief.put(KEY, b"picture")
    assert await brief.get(KEY) is None
    await brief.close()


class Mine:
    """Unpickled, it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._trace),)


@pytest.mark.parametrize("column", ["value", "file", "key"])
async def test_a_planted_pickle_is_never_run(store: DiskStore, tmp_path: Path, column: str):
    await store.put(KEY, b"picture")
    bad = pickle.dumps(Mine(tmp_path / "run"))
    with closing(index(tmp_path)) as cache:
        if column == "value":
            cache.execute("UPDATE Cache SET mode = 4, filename = NULL, value = ?", (bad,))
        elif column == "file":
            entries(tmp_path)[0].write_bytes(bad)
            cache.execute("UPDATE Cache SET mode = 4")
        else:
            cache.execute("UPDATE Cache SET key = ?, raw = 0", (bad,))
    if column != "key":
        assert await store.get(KEY) is None
    assert await store.get(KEY) is None
    for number in range(30):
        await store.put(f"{number}", bytes(MIB))
    assert not (tmp_path / "run").exists()


async def test_a_planted_path_is_neither_read_nor_removed(store: DiskStore, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"of the house")
    await store.put(KEY, b"picture")
    with closing(index(tmp_path)) as cache:
        cache.execute("UPDATE Cache SET filename = '../secret'")
    assert await store.get(KEY) is None
    await store.remove(KEY)
    assert secret.read_bytes() == b"of the house"


async def test_an_entry_whose_file_is_gone_is_a_miss(store: DiskStore, tmp_path: Path):
    await store.put(KEY, b"picture")
    entries(tmp_path)[0].unlink()
    assert await store.get(KEY) is None
    await store.put(KEY, b"another")
    assert await store.get(KEY) == b"another"


@pytest.mark.parametrize("damage", ["noise", "settings", "folder"])
async def test_a_damaged_index_is_given_up_once_and_then_it_works_again(
    tmp_path: Path, damage: str
):
    before = DiskStore(tmp_path, MIB, DAY)
    await before.put(KEY, b"picture")
    await before.close()
    if damage == "noise":
        (tmp_path / "pictures" / "cache.db").write_bytes(b"noise" * 5000)
    elif damage == "settings":
        with closing(index(tmp_path)) as cache:
            cache.execute("INSERT INTO Settings VALUES ('disk_nonsense', 'x')")
    else:
        shutil.rmtree(tmp_path / "pictures")
    store = DiskStore(tmp_path, MIB, DAY)
    if damage != "folder":
        with pytest.raises(StoreFailed, match="damaged"):
            await store.get(KEY)
    assert await store.get(KEY) is None
    await store.put(KEY, b"picture")
    assert await store.get(KEY) == b"picture"
    await store.close()


async def test_a_folder_that_vanishes_comes_back(store: DiskStore, tmp_path: Path):
    await store.put(KEY, b"picture")
    shutil.rmtree(tmp_path / "pictures")
    for _ in range(3):
        try:
            await store.put(KEY, b"another")
        except StoreFailed:
            continue
    assert await store.get(KEY) == b"another"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel refuses to make files larger, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_fails_the_write_alone_and_leaves_nothing_behind(
    store: DiskStore, tmp_path: Path
):
    await store.put("small", b"picture")
    with largest_file(4 * MIB):
        with pytest.raises(StoreFailed):
            await store.put(KEY, bytes(5 * MIB))
        assert await store.get("small") == b"picture"
        assert len(entries(tmp_path)) == 1
    await store.put(KEY, bytes(5 * MIB))
    assert await store.get(KEY) == bytes(5 * MIB)


async def test_a_place_that_cannot_be_a_folder_fails_and_says_why(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    store = DiskStore(tmp_path / "file", MIB, DAY)
    with pytest.raises(StoreFailed, match=r"file|directory"):
        await store.get(KEY)
    await store.close()


WRITER = textwrap.dedent("""
    import asyncio, itertools, sys
    from pathlib import Path
    from writing_service.result_stores import DiskStore

    async def write(folder):
        store = DiskStore(folder, 2**30, 86400.0)
        for number in itertools.count():
            await store.put(f"{number}", number.to_bytes(4) * 50_000)
            print(number, flush=True)

    asyncio.run(write(Path(sys.argv[1])))
""")


def written_until_killed(folder: Path) -> list[int]:
    """What the writer said was there."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        return told + [int(line) for line in writer.stdout if line.endswith("\n")]


async def test_after_sigkill_amid_writing_all_that_was_told_is_there_and_nothing_else(
    tmp_path: Path,
):
    for _ in range(3):
        told = written_until_killed(tmp_path)
        store = DiskStore(tmp_path, 2**30, DAY)
        for number in told:
            assert await store.get(f"{number}") == number.to_bytes(4) * 50_000
        with closing(index(tmp_path)) as cache:
            ((known,),) = cache.execute("SELECT COUNT(*) FROM Cache").fetchall()
        assert len(entries(tmp_path)) == known
        await store.close()


async def test_closing_leaves_no_thread(tmp_path: Path):
    store = DiskStore(tmp_path, MIB, DAY)
    await store.put(KEY, b"picture")
    await store.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("result-cache")]


def test_a_wrong_redis_url_is_told_at_the_start():
    with pytest.raises(ConfigurationError, match=r"cache\.redis"):
        RedisStore("http://somewhere", DAY)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.mark.services
async def test_redis_keeps_removes_and_forgets_in_time(redis: RedisServer):
    store, brief = RedisStore(redis.url, DAY), RedisStore(redis.url, 0.05)
    assert await store.get(KEY) is None
    await store.put(KEY, b"\x00picture")
    assert await store.get(KEY) == b"\x00picture"
    await store.remove(KEY)
    assert await store.get(KEY) is None
    await brief.put(KEY, b"picture")
    redis.wait_until_empty()
    assert await store.size() is None
    await store.close()
    await brief.close()


@pytest.mark.services
async def test_redis_that_stops_fails_soon_and_one_that_starts_again_works(redis: RedisServer):
    store = RedisStore(redis.url, DAY)
    await store.put(KEY, b"picture")
    redis.stop()
    with pytest.raises(StoreFailed):
        await store.get(KEY)
    redis.start()
    assert await store.get(KEY) is None
    await store.put(KEY, b"another")
    assert await store.get(KEY) == b"another"
    await store.close()


@pytest.mark.services
async def test_redis_that_hangs_fails_after_a_moment(redis: RedisServer):
    store = RedisStore(redis.url, DAY)
    await store.put(KEY, b"picture")
    with redis.hanging(), pytest.raises(StoreFailed):
        await store.get(KEY)
    assert await store.get(KEY) == b"picture"
    await store.close()
