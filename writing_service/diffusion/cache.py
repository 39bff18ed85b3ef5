"""ModelCache: what is loaded, by key; bounded by memory, the least recently used goes first."""

import asyncio
import gc
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.journal import LoadJournal
from writing_service.errors import ModelsUnavailable

logger = logging.getLogger(__name__)

_MIB, _GIB = 2**20, 2**30

T = TypeVar("T")


@dataclass(frozen=True)
class LoadedModel(Generic[T]):
    """Something loaded, its name for people, and the bytes of its weights."""

    value: T
    name: str
    size: int


class ModelCache:
    """Loads each key once, however many ask at the same time, one key after the other.

    `journal` is where whoever loads tells it.

    A failed load leaves nothing behind and is tried again at the next call. What is evicted is only
    forgotten here: whoever still draws with it ends in peace, and then its memory is free.
    """

    def __init__(self, gpu: GPUManager, memory_gb: float | None = None) -> None:
        """`memory_gb` in GiB, None without bound."""
        self._gpu = gpu
        self._capacity = None if memory_gb is None else int(memory_gb * _GIB)
        self.journal = LoadJournal(gpu)
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="loading")
        # Under the lock: what is loaded, the least recently used first, and what is being loaded.
        self._models = OrderedDict[Hashable, LoadedModel[Any]]()
        self._loads = dict[Hashable, Future[Any]]()
        self._evicted = 0
        self._closed = False

    def __contains__(self, key: Hashable) -> bool:
        """Whether it is loaded. Does not count as use."""
        return key in self._models

    def peek(self, key: Hashable) -> Any | None:
        """What is loaded under the key. Does not count as use."""
        model = self._models.get(key)
        return model and model.value

    def load(self, key: Hashable, load: Callable[[], LoadedModel[T]]) -> Future[T]:
        """What is loaded under the key, soon. `load` runs on the cache's thread, where it is needed.

        Raises ModelsUnavailable when closed; the future raises what `load` does.
        """
        with self._lock:
            self._refuse_if_closed()
            if model := self._models.get(key):
                self._models.move_to_end(key)
                return _done(model.value)
            if key not in self._loads:
                self._loads[key] = self._worker.submit(self._load, key, load)
            return self._loads[key]

    async def get_or_load_model(self, model_key: Hashable, load: Callable[[], LoadedModel[T]]) -> T:
        """The same off the event loop. A caller that is cancelled does not stop the load."""
        return await asyncio.shield(asyncio.wrap_future(self.load(model_key, load)))

    def make_room(self, size: int) -> None:
        """Evict until so many more bytes are within the capacity, or nothing is left to evict."""
        evicted = self._evicted
        while self._capacity is not None and self.size + size > self._capacity:
            if not self._forget_oldest():
                break
        if self._evicted > evicted:
            self._collect()

    def evict(self) -> bool:
        """Forget the least recently used; False where nothing is loaded."""
        if not self._forget_oldest():
            return False
        self._collect()
        return True

    def discard(self, key: Hashable) -> None:
        """Forget one."""
        with self._lock:
            found = self._models.pop(key, None)
        if found:
            del found
            self._collect()

    @property
    def size(self) -> int:
        """Bytes of all that is loaded."""
        with self._lock:
            return sum(model.size for model in self._models.values())

    def status(self) -> dict[str, Any]:
        """Ready for JSON: `models` [{name, memory_mb}], least recently used first; `limit_mb`; `evicted`."""
        with self._lock:
            models = [
                {"name": one.name, "memory_mb": round(one.size / _MIB, 1)}
                for one in self._models.values()
            ]
            limit = self._capacity and round(self._capacity / _MIB, 1)
            return {"models": models, "limit_mb": limit, "evicted": self._evicted}

    def close(self) -> list[Any]:
        """Wait for a running load, load no more, and let everything go; what that was."""
        with self._lock:
            self._closed = True
        self._worker.shutdown(wait=True)
        with self._lock:
            values = [model.value for model in self._models.values()]
            self._models.clear()
        return values

    def _load(self, key: Hashable, load: Callable[[], LoadedModel[Any]]) -> Any:
        """On the cache's thread."""
        try:
            self._refuse_if_closed()
            model = load()
            self.make_room(model.size)
            with self._lock:
                self._models[key] = model
            return model.value
        finally:
            with self._lock:
                del self._loads[key]

    def _forget_oldest(self) -> bool:
        with self._lock:
            if not self._models:
                return False
            _, model = self._models.popitem(last=False)
            self._evicted += 1
        logger.info("Evicted %s, the least recently used", model.name)
        return True

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ModelsUnavailable("The service is shutting down and loads no models.")

    def _collect(self) -> None:
        # Networks and their hooks refer to each other: without this they would stay for long.
        gc.collect()
        self._gpu.empty_cache()


def memory_of(networks: Iterable[Any]) -> int:
    """Bytes of the networks' weights, of which each counts once."""
    tensors = {
        id(tensor): tensor.numel() * tensor.element_size()
        for network in networks
        for tensor in (*network.parameters(), *network.buffers())
    }
    return sum(tensors.values())


def _done(value: T) -> Future[T]:
    future = Future[T]()
    future.set_result(value)
    return future
