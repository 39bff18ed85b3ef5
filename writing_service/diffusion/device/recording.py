"""CUDA graphs of the networks' passes: launching thousands of kernels one by one takes longer than small ones run.

A pass is recorded when a batch of its form first comes, and replayed with other values from then on.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

KEPT = 32
"""Recordings; each holds a copy of what it is given, all share the memory that they work in."""


class Recordable(Protocol):
    """Something made of tensors that a pass is given."""

    @property
    def tensors(self) -> list[Tensor]:
        """All of them, in an order that depends on the form alone."""
        ...

    @property
    def form(self) -> Hashable:
        """Equal for those that differ in the values of their tensors alone."""
        ...

    def copy(self) -> Self:
        """Another of the same values."""
        ...


Work = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class _Recording:
    """Replayed, `graph` makes `answers` of what `given` holds then."""

    graph: torch.cuda.CUDAGraph
    given: Sequence[Recordable]
    answers: tuple[Tensor, ...]

    def replay(self, given: Sequence[Recordable]) -> tuple[Tensor, ...]:
        for mine, theirs in zip(self.given, given, strict=True):
            for held, new in zip(mine.tensors, theirs.tensors, strict=True):
                held.copy_(new)
        self.graph.replay()
        # The next replay, of this or of another form, writes over them.
        return tuple(one.clone() for one in self.answers)


class Recorder:
    """Runs passes on a CUDA device, by a recording where there is one. One thread at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._recordings = OrderedDict[Hashable, _Recording]()
        self._refused = set[Hashable]()
        self._pool: Any = None

    def run(self, name: str, work: Work, given: Sequence[Recordable]) -> tuple[Tensor, ...]:
        """`work(*given)`. The same name and forms always mean the same work."""
        # Streams and graphs are those of the device in use, which need not be the first one.
        with torch.cuda.device(self._device):
            return self._run(name, work, given)

    def _run(self, name: str, work: Work, given: Sequence[Recordable]) -> tuple[Tensor, ...]:
        form = (name, *(one.form for one in given))
        if form in self._refused:
            return work(*given)
        if form not in self._recordings and not self._record(form, work, given):
            return work(*given)
        self._recordings.move_to_end(form)
        return self._recordings[form].replay(given)

    def forget(self) -> None:
        """Give the recordings' memory back; who comes next is recorded anew."""
        self._recordings.clear()
        self._pool = None

    def _record(self, form: Hashable, work: Work, given: Sequence[Recordable]) -> bool:
        """Whether it worked. What cannot be recorded runs as it is from now on."""
        try:
            self._recordings[form] = self._recorded(work, given)
        except RuntimeError as error:
            logger.warning("A pass of the networks cannot be recorded: %s", error)
            self._refused.add(form)
            return False
        if len(self._recordings) > KEPT:
            self._recordings.popitem(last=False)
        return True

    def _recorded(self, work: Work, given: Sequence[Recordable]) -> _Recording:
        copies = [one.copy() for one in given]
        # First runs choose kernels and workspaces, which a recording must not.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            work(*copies)
        torch.cuda.current_stream().wait_stream(aside)
        graph, self._pool = torch.cuda.CUDAGraph(), self._pool or torch.cuda.graph_pool_handle()
        # Other threads may use the device meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            answers = work(*copies)
        return _Recording(graph, copies, answers)
