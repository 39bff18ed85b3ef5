"""ModelCache: each key once, within its memory, whoever asks."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.diffusion.conftest import gpu_settings
from writing_service.diffusion.cache import LoadedModel, ModelCache, memory_of
from writing_service.diffusion.gpu import GPUManager
from writing_service.errors import ModelsUnavailable

MIB = 2**20


class Model:
    """Something that can be told whether it is still in memory."""


@pytest.fixture
def make_cache() -> Iterator[Callable[..., ModelCache]]:
    made = list[ModelCache]()

    def make(mebibytes: float | None = None) -> ModelCache:
        gpu = GPUManager(gpu_settings())
        made.append(ModelCache(gpu, None if mebibytes is None else mebibytes / 1024))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


def load(name: str, size: int = MIB) -> Callable[[], LoadedModel[Model]]:
    return lambda: LoadedModel(Model(), name, size)


def names(cache: ModelCache) -> list[str]:
    return [one["name"] for one in cache.status()["models"]]


async def test_a_hundred_at_once_load_once(make_cache: Callable[..., ModelCache]) -> None:
    cache, loads = make_cache(), list[str]()

    def slowly() -> LoadedModel[Model]:
        loads.append(threading.current_thread().name)
        time.sleep(0.05)
        return LoadedModel(Model(), "a", 1)

    models = await asyncio.gather(*(cache.get_or_load_model("a", slowly) for _ in range(100)))

    assert len(set(map(id, models))) == len(loads) == 1
    assert loads[0].startswith("loading")


def test_keys_from_many_threads_are_loaded_once_each_and_one_at_a_time(
    make_cache: Callable[..., ModelCache],
) -> None:
    cache, under_way, most = make_cache(), 0, 0

    def counted(key: int) -> LoadedModel[int]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.002)
        under_way -= 1
        return LoadedModel(key, str(key), 1)

    with ThreadPoolExecutor(8) as pool:
        got = list(
            pool.map(lambda n: cache.load(n % 5, lambda: counted(n % 5)).result(), range(100))
        )

    assert got == [n % 5 for n in range(100)]
    assert sorted(names(cache)) == [*"01234"]
    assert most == 1


def test_least_recently_used_goes_first(make_cache: Callable[..., ModelCache]) -> None:
    cache = make_cache(mebibytes=3)
    for name in "abc":
        cache.load(name, load(name)).result()
    cache.load("a", load("a")).result()
    cache.load("d", load("d")).result()

    assert names(cache) == ["c", "a", "d"]
    assert "b" not in cache
    assert cache.size == 3 * MIB
    assert cache.status()["evicted"] == 1
    assert cache.status()["limit_mb"] == 3


def test_what_alone_is_too_large_is_kept_alone(make_cache: Callable[..., ModelCache]) -> None:
    """It is wanted now; nothing else is."""
    cache = make_cache(mebibytes=3)
    for name, size in {"a": 1, "b": 1, "large": 5}.items():
        cache.load(name, load(name, size * MIB)).result()

    assert names(cache) == ["large"]


def test_room_is_made_before_a_load(make_cache: Callable[..., ModelCache]) -> None:
    cache = make_cache(mebibytes=3)
    for name in "abc":
        cache.load(name, load(name)).result()
    cache.make_room(2 * MIB)

    assert names(cache) == ["c"]


def test_evicted_models_leave_memory_when_nobody_draws_with_them(
    make_cache: Callable[..., ModelCache],
) -> None:
    cache = make_cache()
    drawing = cache.load("a", load("a")).result()
    left = weakref.ref(drawing)
    assert cache.evict()
    assert left() is drawing

    del drawing
    gc.collect()
    assert left() is None
    assert cache.evict() is False


def test_failed_load_is_told_to_all_who_wait_and_tried_again(
    make_cache: Callable[..., ModelCache],
) -> None:
    cache, together = make_cache(), threading.Event()

    def fail() -> LoadedModel[Model]:
        together.wait(5)
        raise ModelsUnavailable("No.")

    waiting = [cache.load("a", fail) for _ in range(3)]
    together.set()
    for one in waiting:
        with pytest.raises(ModelsUnavailable, match="No"):
            one.result()
    assert cache.size == 0

    assert isinstance(cache.load("a", load("a")).result(), Model)


async def test_cancelled_caller_does_not_stop_the_load(
    make_cache: Callable[..., ModelCache],
) -> None:
    cache, go = make_cache(), threading.Event()

    def slowly() -> LoadedModel[Model]:
        go.wait(5)
        return LoadedModel(Model(), "a", 1)

    first, second = (asyncio.create_task(cache.get_or_load_model("a", slowly)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    go.set()

    assert isinstance(await second, Model)


def test_closed_cache_loads_no_more_and_tells_what_it_had(
    make_cache: Callable[..., ModelCache],
) -> None:
    cache, begun, go = make_cache(), threading.Event(), threading.Event()
    model = cache.load("a", load("a")).result()

    def slowly() -> LoadedModel[str]:
        begun.set()
        go.wait(5)
        return LoadedModel("b", "b", 1)

    running, waiting = cache.load("b", slowly), cache.load("c", load("c"))
    begun.wait(5)
    threading.Timer(0.05, go.set).start()

    assert cache.close() == [model, "b"]
    assert running.result() == "b"
    with pytest.raises(ModelsUnavailable, match="shutting down"):
        waiting.result()
    with pytest.raises(ModelsUnavailable, match="shutting down"):
        cache.load("a", load("a"))


def test_shared_weights_count_once() -> None:
    first, second = torch.nn.Linear(10, 10), torch.nn.Linear(10, 10, dtype=torch.float16)
    second.bias = first.bias

    assert memory_of([first, second, first]) == 4 * 110 + 2 * 100
