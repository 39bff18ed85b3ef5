"""The ControlNets of a pipeline behind one face: one network for each kind, or one for all.

A ControlNet embeds its control image with a small convolutional network of its own, and diffusers
does so again at every step. Here that network is taken out once (an identity stands in its place),
run once for each picture, and its result handed in at each step. Whoever wants a network as it was
puts its embedder back as `controlnet_cond_embedding`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from writing_service.types import ConditioningKind

UNION_MODES: Mapping[ConditioningKind, int] = {
    ConditioningKind.DEPTH: 1,
    ConditioningKind.SCRIBBLE: 2,
    ConditioningKind.CANNY: 3,
    ConditioningKind.SEGMENTATION: 5,
}
"""Control types of the union network, by its authors' numbering."""


@dataclass(frozen=True)
class StepInput:
    """What the UNet and its ControlNets are given at one step; b is 2 under guidance, else 1.

    `sample` (b, channels, height, width) are scaled latents, `states` (b, tokens, width) the text;
    `added` are SDXL's further conditions, `text_embeds` (b, width) and `time_ids` (b, 6).
    """

    sample: Tensor
    timestep: Tensor
    states: Tensor
    added: Mapping[str, Tensor]

    def repeated(self, times: int) -> "StepInput":
        """The whole batch, `times` times over."""
        added = {name: one.repeat(times, 1) for name, one in self.added.items()}
        sample, states = self.sample.repeat(times, 1, 1, 1), self.states.repeat(times, 1, 1)
        return StepInput(sample, self.timestep, states, added)


@dataclass(frozen=True)
class Residuals:
    """What ControlNets add inside the UNet: to its skip connections and to its middle."""

    down: Sequence[Tensor]
    mid: Tensor

    def __add__(self, other: "Residuals") -> "Residuals":
        down = [mine + theirs for mine, theirs in zip(self.down, other.down, strict=True)]
        return Residuals(down, self.mid + other.mid)


class PictureControl(Protocol):
    """The control images of one picture, embedded."""

    def residuals(self, step: StepInput) -> Residuals | None:
        """None when no ControlNet takes part."""
        ...


class Controls(Protocol):
    """All ControlNets of a pipeline."""

    @property
    def kinds(self) -> frozenset[ConditioningKind]:
        """The kinds that it has networks for."""
        ...

    @property
    def networks(self) -> Sequence[Any]:
        """The distinct networks, without their embedders."""
        ...

    @property
    def embedders(self) -> Sequence[nn.Module]:
        """The distinct embedders; they stay on the device."""
        ...

    def embed(
        self, images: Mapping[ConditioningKind, Tensor], scales: Mapping[ConditioningKind, float]
    ) -> PictureControl:
        """Images (1, 3, height, width) from 0 to 1, already of the networks' dtype and device.

        Both mappings name the same kinds, and no scale is 0.
        """
        ...


class SeparateControls:
    """One network for each kind. Kinds that share a network run as one batch of it."""

    def __init__(self, networks: Mapping[ConditioningKind, Any]) -> None:
        self._networks = dict(networks)
        self._embedders = {one: _take_embedder(one) for one in dict.fromkeys(networks.values())}

    @property
    def kinds(self) -> frozenset[ConditioningKind]:
        """See Controls."""
        return frozenset(self._networks)

    @property
    def networks(self) -> Sequence[Any]:
        """See Controls."""
        return list(self._embedders)

    @property
    def embedders(self) -> Sequence[nn.Module]:
        """See Controls."""
        return list(self._embedders.values())

    def embed(
        self, images: Mapping[ConditioningKind, Tensor], scales: Mapping[ConditioningKind, float]
    ) -> PictureControl:
        """See Controls."""
        groups = dict[Any, list[ConditioningKind]]()
        for kind in images:
            groups.setdefault(self._networks[kind], []).append(kind)
        return _SeparateControl(
            [
                _Group(network, self._embed(network, images, kinds), _scales(scales, kinds))
                for network, kinds in groups.items()
            ]
        )

    def _embed(
        self,
        network: Any,
        images: Mapping[ConditioningKind, Tensor],
        kinds: Sequence[ConditioningKind],
    ) -> Tensor:
        stacked = torch.cat([images[kind] for kind in kinds])
        if network.config.controlnet_conditioning_channel_order == "rgb":
            return self._embedders[network](stacked)
        # The network will reverse what it is given once more: that must hit channels that we
        # reversed beforehand, for it means the image's and would meet the embedding's.
        return self._embedders[network](stacked.flip(1)).flip(1)


@dataclass(frozen=True)
class _Group:
    """A network with the embedded images (kinds, channels, height, width) that it reads."""

    network: Any
    features: Tensor
    scales: Sequence[float]

    def residuals(self, step: StepInput) -> Residuals:
        """Of all its kinds in one batch, weighted and summed."""
        kinds, batch = len(self.scales), len(step.sample)
        many = step.repeated(kinds)
        weights = torch.tensor(self.scales, dtype=step.sample.dtype, device=step.sample.device)
        down, mid = self.network(
            many.sample,
            many.timestep,
            encoder_hidden_states=many.states,
            controlnet_cond=self.features.repeat_interleave(batch, dim=0),
            conditioning_scale=weights.repeat_interleave(batch).view(-1, 1, 1, 1),
            added_cond_kwargs=dict(many.added),
            return_dict=False,
        )
        return Residuals([_summed(one, kinds) for one in down], _summed(mid, kinds))


@dataclass(frozen=True)
class _SeparateControl:
    groups: Sequence[_Group]

    def residuals(self, step: StepInput) -> Residuals | None:
        """See PictureControl."""
        total: Residuals | None = None
        for group in self.groups:
            one = group.residuals(step)
            total = one if total is None else total + one
        return total


class UnionControls:
    """One network that reads all kinds at once and is told which they are."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._embedder = _take_embedder(network)

    @property
    def kinds(self) -> frozenset[ConditioningKind]:
        """See Controls."""
        return frozenset(UNION_MODES)

    @property
    def networks(self) -> Sequence[Any]:
        """See Controls."""
        return [self._network]

    @property
    def embedders(self) -> Sequence[nn.Module]:
        """See Controls."""
        return [self._embedder]

    def embed(
        self, images: Mapping[ConditioningKind, Tensor], scales: Mapping[ConditioningKind, float]
    ) -> PictureControl:
        """See Controls."""
        kinds = list(images)
        features = [self._embedder(images[kind]) for kind in kinds]
        modes = [UNION_MODES[kind] for kind in kinds]
        return _UnionControl(self._network, features, modes, _scales(scales, kinds))


@dataclass(frozen=True)
class _UnionControl:
    network: Any
    features: Sequence[Tensor]
    modes: Sequence[int]
    scales: Sequence[float]

    def residuals(self, step: StepInput) -> Residuals | None:
        """See PictureControl."""
        if not self.modes:
            return None
        batch = len(step.sample)
        types = step.sample.new_zeros(batch, self.network.config.num_control_type)
        types[:, list(self.modes)] = 1
        down, mid = self.network(
            step.sample,
            step.timestep,
            encoder_hidden_states=step.states,
            controlnet_cond=[one.repeat(batch, 1, 1, 1) for one in self.features],
            control_type=types,
            control_type_idx=list(self.modes),
            conditioning_scale=list(self.scales),
            added_cond_kwargs=dict(step.added),
            return_dict=False,
        )
        return Residuals(down, mid)


def _take_embedder(network: Any) -> nn.Module:
    embedder = network.controlnet_cond_embedding
    network.controlnet_cond_embedding = nn.Identity()
    return embedder


def _scales(
    scales: Mapping[ConditioningKind, float], kinds: Sequence[ConditioningKind]
) -> list[float]:
    return [float(scales[kind]) for kind in kinds]


def _summed(residual: Tensor, kinds: int) -> Tensor:
    """(kinds × b, ...) → (b, ...)."""
    return residual.unflatten(0, (kinds, -1)).sum(0) if kinds > 1 else residual
