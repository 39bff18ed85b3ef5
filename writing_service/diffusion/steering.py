"""What goes into the ControlNets at one step, for rows of many pictures, and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    `time_ids` (b, 6).
    """

    sample: Tensor
    timestep: Tensor
    states: Tensor
    added: Mapping[str, Tensor]

    def of_rows(self, rows: Sequence[int]) -> "StepInput":
        """These rows, in this order; one may come several times."""
        if list(rows) == list(range(len(self.sample))):
            return self
        index = torch.tensor(rows, device=self.sample.device)
        added = {name: one[index] for name, one in self.added.items()}
        return StepInput(self.sample[index], self.timestep[index], self.states[index], added)


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

    def add(self, rows: Sequence[int], more: Residuals) -> None:
        """`rows` are distinct, so that the sum has one order on every device."""
        whole = list(rows) == list(range(self._batch))
        if self.residuals is None and whole:
            self.residuals = more
            return
        sums = self.residuals or self._nothing(more)
        index = None if whole else torch.tensor(rows, device=more.mid.device)
        pairs = zip(sums.down, more.down, strict=True)
        self.residuals = Residuals(
            [_added(one, index, theirs) for one, theirs in pairs],
            _added(sums.mid, index, more.mid),
        )

    def _nothing(self, like: Residuals) -> Residuals:
        zeros = [one.new_zeros(self._batch, *one.shape[1:]) for one in (*like.down, like.mid)]
        return Residuals(zeros[:-1], zeros[-1])


def _added(sums: Tensor, index: Tensor | None, more: Tensor) -> Tensor:
    return sums + more if index is None else sums.index_add(0, index, more)
