"""One pass of a ControlNet over rows of many pictures: all that it takes as tensors, so that it can be recorded."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from writing_service.diffusion.denoising.steering import Residuals, StepInput


@dataclass(frozen=True, eq=False)
class Share:
    """The part of a pass's answer, from `start` up to `end`, that is added to these `rows` of the step; None is all."""

    rows: Tensor | None
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class ControlPass:
    """One network, and what it is given.

    `rows` of the step go in (None: all), with `features` (rows, channels, height, width) and weights `scales` (rows,):
    one of each, or for the union network one for each of the `modes` that it reads at once.
    """

    network: Any
    rows: Tensor | None
    features: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]
    shares: tuple[Share, ...]
    modes: tuple[int, ...] = ()

    @property
    def tensors(self) -> list[Tensor]:
        """All that it takes, in an order of its own."""
        indices = [self.rows, *(one.rows for one in self.shares)]
        return [*(one for one in indices if one is not None), *self.features, *self.scales]

    @property
    def form(self) -> tuple[Any, ...]:
        """Equal for passes that differ in the values of their tensors alone."""
        return (
            id(self.network),
            self.modes,
            self.rows is None,
            tuple((one.rows is None, one.start, one.end) for one in self.shares),
            tuple(tuple(one.shape) for one in self.tensors),
        )

    def copy(self) -> "ControlPass":
        """Another of the same values."""
        return replace(
            self,
            rows=_copied(self.rows),
            features=tuple(one.clone() for one in self.features),
            scales=tuple(one.clone() for one in self.scales),
            shares=tuple(replace(one, rows=_copied(one.rows)) for one in self.shares),
        )

    def run(self, step: StepInput) -> Residuals:
        """Weighted, for the pass's own rows."""
        many = step.of_rows(self.rows)
        down, mid = self.network(
            many.sample,
            many.timestep,
            encoder_hidden_states=many.states,
            added_cond_kwargs=dict(many.added),
            return_dict=False,
            **(self._united(many) if self.modes else self._single()),
        )
        return Residuals(down, mid)

    def _single(self) -> dict[str, Any]:
        return {
            "controlnet_cond": self.features[0],
            "conditioning_scale": self.scales[0].view(-1, 1, 1, 1),
        }

    def _united(self, many: StepInput) -> dict[str, Any]:
        types = many.sample.new_zeros(len(many.sample), self.network.config.num_control_type)
        for mode in self.modes:
            types[:, mode] = 1
        return {
            "controlnet_cond": list(self.features),
            "control_type": types,
            "control_type_idx": list(self.modes),
            "conditioning_scale": [_RowScales(one) for one in self.scales],
        }


class _RowScales:
    """A factor for each row, of whatever shape a row is.

    The union network multiplies tokens and maps by the same factor, and expects a plain number.
    """

    def __init__(self, factors: Tensor) -> None:
        self._factors = factors

    def __rmul__(self, rows: Tensor) -> Tensor:
        return rows * self._factors.view(-1, *(1,) * (rows.ndim - 1))


def _copied(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()
