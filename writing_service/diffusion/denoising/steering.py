"""What goes into the ControlNets at one step, for rows of many pictures, and what comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from writing_service.types import ConditioningKind

Features = Mapping[ConditioningKind, Tensor]
"""Embedded control images of one picture, each (1, channels, height, width)."""


@dataclass(frozen=True)
class StepInput:
    """What the UNet and its ControlNets are given at one step, for b rows of any pictures.

    `sample` (b, channels, height, width) are scaled latents, `timestep` is (b,), `states` (b,
    tokens, width) the text; `added` are SDXL's further conditions, `text_embeds` (b, width) and
    `time_ids` (b, 6). `guidance` (b, width) is embedded guidance, for UNets that take it so.
    """

    sample: Tensor
    timestep: Tensor
    states: Tensor
    added: Mapping[str, Tensor]
    guidance: Tensor | None = None

    @property
    def tensors(self) -> list[Tensor]:
        """All of it, in an order of its own."""
        guidance = [] if self.guidance is None else [self.guidance]
        return [self.sample, self.timestep, self.states, *self.added.values(), *guidance]

    @property
    def form(self) -> tuple[Any, ...]:
        """Equal for those that differ in the values of their tensors alone."""
        return (*self.added, *(tuple(one.shape) for one in self.tensors))

    def copy(self) -> "StepInput":
        """Another of the same values."""
        return self._each(torch.clone)

    def of_rows(self, rows: Tensor | None) -> "StepInput":
        """These rows, in this order; one may come several times. None is all of them."""
        return self if rows is None else self._each(lambda one: one[rows])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "StepInput":
        return StepInput(
            change(self.sample),
            change(self.timestep),
            change(self.states),
            {name: change(one) for name, one in self.added.items()},
            None if self.guidance is None else change(self.guidance),
        )


@dataclass(frozen=True)
class Steering:
    """What steers one picture at one step: the rows that are its own, its images, its weights.

    `scales` names the kinds that take part; none of them is 0.
    """

    rows: range
    features: Features
    scales: Mapping[ConditioningKind, float]


@dataclass(frozen=True)
class Residuals:
    """What ControlNets add inside the UNet: to its skip connections and to its middle."""

    down: Sequence[Tensor]
    mid: Tensor

    def part(self, start: int, end: int) -> "Residuals":
        """Of the rows from `start` on, up to `end`."""
        return Residuals([one[start:end] for one in self.down], self.mid[start:end])


class ResidualSum:
    """Residuals of a batch of rows, added up. Rows that get none have zeros."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self.residuals: Residuals | None = None

    def add(self, rows: Tensor | None, more: Residuals) -> None:
        """`rows` are distinct, so that the sum has one order on every device; None is all of them."""
        if self.residuals is None and rows is None:
            self.residuals = more
            return
        sums = self.residuals or self._nothing(more)
        pairs = zip(sums.down, more.down, strict=True)
        self.residuals = Residuals(
            [_added(one, rows, theirs) for one, theirs in pairs],
            _added(sums.mid, rows, more.mid),
        )

    def _nothing(self, like: Residuals) -> Residuals:
        zeros = [one.new_zeros(self._batch, *one.shape[1:]) for one in (*like.down, like.mid)]
        return Residuals(zeros[:-1], zeros[-1])


def row_index(rows: Sequence[int], batch: int, device: torch.device) -> Tensor | None:
    """For picking rows of a batch or adding to them; None where they are all of it, in order."""
    if list(rows) == list(range(batch)):
        return None
    return torch.tensor(rows, device=device)


def _added(sums: Tensor, rows: Tensor | None, more: Tensor) -> Tensor:
    return sums + more if rows is None else sums.index_add(0, rows, more)
