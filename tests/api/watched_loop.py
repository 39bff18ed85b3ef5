"""An event loop that notes what blocks it, as asyncio's debug mode does, but by this thread's own CPU time.

Wall time would blame a busy machine. The garbage collector's pauses do not count: it looks through the whole process,
most of which are the tests.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from typing import Any

BLOCKS_SECONDS = 0.05
"""Longer no callback may run: 20 ms on a core of one's own, which take up to twice as long on a shared one."""


class WatchedLoop(asyncio.SelectorEventLoop):
    """`blocked` has what each callback was that blocked, and for how many seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked = list[tuple[str, float]]()
        self._thread: int | None = None
        self._collecting_since = 0.0
        self._collected = 0.0
        gc.callbacks.append(self._note_collection)

    def close(self) -> None:
        if self._note_collection in gc.callbacks:
            gc.callbacks.remove(self._note_collection)
        super().close()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(self._watched(callback), *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_at(when, self._watched(callback), *args, context=context)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_soon_threadsafe(self._watched(callback), *args, context=context)

    def _add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        return super()._add_reader(fd, self._watched(callback), *args)  # type: ignore[misc]

    def _add_writer(self, fd: Any, callback: Any, *args: Any) -> Any:
        return super()._add_writer(fd, self._watched(callback), *args)  # type: ignore[misc]

    def _watched(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> None:
            self._thread = threading.get_ident()
            started, collected = time.thread_time(), self._collected
            callback(*args)
            took = time.thread_time() - started - (self._collected - collected)
            if took > BLOCKS_SECONDS:
                self.blocked.append((_named(callback), round(took, 4)))

        return run

    def _note_collection(self, phase: str, _: object) -> None:
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._collecting_since = time.thread_time()
        else:
            self._collected += time.thread_time() - self._collecting_since


def _named(callback: Callable[..., Any]) -> str:
    """A task's coroutine, or the function."""
    owner = getattr(callback, "__self__", None)
    return repr(owner if isinstance(owner, asyncio.Task) else callback)
