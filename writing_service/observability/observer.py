"""Observer: whoever wants to know how the work goes. Metrics and traces are two; `Observers` tells several at once.

The generator, the answer desk and the cache tell what happens, and know none of those who listen.
"""

from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from enum import StrEnum
from typing import Any, Protocol


class CacheOutcome(StrEnum):
    """How an answer came about; the header X-Cache tells it, too."""

    HIT = "hit"
    """It was drawn before."""
    MISS = "miss"
    """Drawn now, and kept."""
    COALESCED = "coalesced"
    """Drawn once, with another request for the same that was under way."""
    OFF = "off"
    """Drawn without asking the cache, which is switched off, or is not for requests that name no seed."""


class Observer(Protocol):
    """Every call comes on the event loop, inside the context of its request, and returns at once."""

    def generation(self, style: str) -> AbstractContextManager[None]:
        """The block draws for one request. `style` is a configured one's name, or "custom"."""
        ...

    def stage(self, name: str, started_ns: int, seconds: float) -> None:
        """One stage of the request ended. `started_ns` is in nanoseconds since the epoch."""
        ...

    def drawn(self, metadata: Mapping[str, Any]) -> None:
        """A request's pictures are there, with the contract's `generation_metadata`."""
        ...

    def cached(self, outcome: CacheOutcome) -> None:
        """A request was answered."""
        ...


class Observers:
    """Tells all of them; without any, nobody."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    @contextmanager
    def generation(self, style: str) -> Generator[None]:
        """See Observer."""
        with ExitStack() as stack:
            for one in self._observers:
                stack.enter_context(one.generation(style))
            yield

    def stage(self, name: str, started_ns: int, seconds: float) -> None:
        """See Observer."""
        for one in self._observers:
            one.stage(name, started_ns, seconds)

    def drawn(self, metadata: Mapping[str, Any]) -> None:
        """See Observer."""
        for one in self._observers:
            one.drawn(metadata)

    def cached(self, outcome: CacheOutcome) -> None:
        """See Observer."""
        for one in self._observers:
            one.cached(outcome)


NOBODY = Observers()
