"""Worker: a thread that outlives its own death, for another takes its place."""

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Worker:
    """Does `work` on a thread of its own after each `wake`.

    A thread may be killed from outside, or by what nobody catches (SystemExit, an exhausted interpreter). Then `died`
    is called on it, in its last moment, and a new thread goes on with a call of `work`.
    """

    def __init__(
        self, name: str, work: Callable[[], None], died: Callable[[BaseException], None]
    ) -> None:
        self._name = name
        self._work = work
        self._died = died
        self._lock = threading.Lock()
        self._calls = queue.SimpleQueue[bool]()
        self._thread: threading.Thread | None = None
        self._begun = False

    @property
    def alive(self) -> bool:
        """False where a thread has died and no other could be started in its place."""
        return not self._begun or (self._thread is not None and self._thread.is_alive())

    def wake(self) -> None:
        """There is something to do. Raises RuntimeError where the machine gives no more threads."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._start()
        self._calls.put(True)

    def close(self) -> None:
        """Wait until a running call has ended; no other follows."""
        self._calls.put(False)
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _start(self) -> None:
        self._begun = True
        thread = threading.Thread(target=self._live, name=self._name, daemon=True)
        thread.start()
        self._thread = thread

    def _live(self) -> None:
        try:
            while self._calls.get():
                self._work()
        except BaseException as error:
            logger.critical("The %s thread died", self._name, exc_info=error)
            self._replace(error)

    def _replace(self, error: BaseException) -> None:
        """On the dying thread."""
        with self._lock:
            self._thread = None
        self._died(error)
        try:
            self.wake()
        except RuntimeError as failure:
            logger.critical("No other %s thread can be started: %s", self._name, failure)
