"""The ControlNets of a pipeline behind one face: one network for each kind, or one for all.

A ControlNet embeds its control image with a small convolutional network of its own, and diffusers
does so again at every step. Here that network is taken out once (an identity stands in its place),
run once for each picture, and its result handed in at each step. Whoever wants a network as it was
puts its embedder back as `controlnet_cond_embedding`.

A step's batch has rows of many pictures, and each picture wants other kinds at other weights. So
what runs are *pairs* of a picture and a kind that it wants now; a network nobody wants is not run.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from torch import Tensor, nn

from writing_service.diffusion.denoising.control_pass import ControlPass, Share
from writing_service.diffusion.denoising.steering import (
    Features,
    Residuals,
    ResidualSum,
    Steering,
    StepInput,
    row_index,
)
from writing_service.diffusion.device.compiling import BatchSizes
from writing_service.types import ConditioningKind

UNION_MODES: Mapping[ConditioningKind, int] = {
    ConditioningKind.DEPTH: 1,
    ConditioningKind.SCRIBBLE: 2,
    ConditioningKind.CANNY: 3,
    ConditioningKind.SEGMENTATION: 5,
}
"""Control types of the union network, by its authors' numbering."""


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

    def embed(self, images: Mapping[ConditioningKind, Tensor]) -> Features:
        """Images (1, 3, height, width) from 0 to 1, already of the networks' dtype and device."""
        ...

    def passes(
        self, step: StepInput, steerings: Sequence[Steering], sizes: BatchSizes
    ) -> list[ControlPass]:
        """What is to be run at this step, in batches of `sizes`; nothing when no ControlNet takes part."""
        ...


def controls_of(networks: Mapping[ConditioningKind, Any]) -> Controls:
    """The networks by kind, behind one face; a union network stands for all kinds."""
    first = next(iter(networks.values()), None)
    return (
        UnionControls(first)
        if isinstance(first, ControlNetUnionModel)
        else SeparateControls(networks)
    )


def residuals_of(step: StepInput, passes: Sequence[ControlPass]) -> Residuals | None:
    """Run them; for all rows of the step, weighted and summed."""
    total = ResidualSum(len(step.sample))
    for one, answer in zip(passes, _beside_each_other(step, passes), strict=True):
        for share in one.shares:
            total.add(share.rows, answer.part(share.start, share.end))
    return total.residuals


def _beside_each_other(step: StepInput, passes: Sequence[ControlPass]) -> list[Residuals]:
    """Each pass's answer. A GPU has them on streams of their own: a kernel of one fills what another's leaves idle."""
    device = step.sample.device
    if device.type != "cuda" or len(passes) < 2:
        return [one.run(step) for one in passes]
    here = torch.cuda.current_stream(device)
    streams = [_stream(device, place) for place in range(len(passes))]
    answers = list[Residuals]()
    for one, stream in zip(passes, streams, strict=True):
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            answers.append(one.run(step))
    for stream in streams:
        here.wait_stream(stream)
    return answers


@cache
def _stream(device: torch.device, place: int) -> torch.cuda.Stream:
    """Always the same, for each keeps memory of its own to work in."""
    return torch.cuda.Stream(device)


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

    def embed(self, images: Mapping[ConditioningKind, Tensor]) -> Features:
        """See Controls."""
        features = dict[ConditioningKind, Tensor]()
        for network, kinds in self._by_network(images).items():
            embedded = self._embed(network, torch.cat([images[kind] for kind in kinds]))
            features |= zip(kinds, embedded.split(1), strict=True)
        return features

    def passes(
        self, step: StepInput, steerings: Sequence[Steering], sizes: BatchSizes
    ) -> list[ControlPass]:
        """See Controls."""
        wanted = [one for one in ConditioningKind if any(one in each.scales for each in steerings)]
        pairs = _Pairs.of_all if sizes.fixed else _Pairs.of
        return [
            _pass(network, step, [pairs(kind, steerings) for kind in kinds], sizes)
            for network, kinds in self._by_network(wanted).items()
        ]

    def _by_network(
        self, kinds: Mapping[ConditioningKind, Any] | Sequence[ConditioningKind]
    ) -> dict[Any, list[ConditioningKind]]:
        groups = dict[Any, list[ConditioningKind]]()
        for kind in kinds:
            groups.setdefault(self._networks[kind], []).append(kind)
        return groups

    def _embed(self, network: Any, images: Tensor) -> Tensor:
        if network.config.controlnet_conditioning_channel_order == "rgb":
            return self._embedders[network](images)
        # The network will reverse what it is given once more: that must hit channels that we
        # reversed beforehand, for it means the image's and would meet the embedding's.
        return self._embedders[network](images.flip(1)).flip(1)


@dataclass(frozen=True)
class _Pairs:
    """One kind and the rows that go with it: to which picture each belongs, its feature and weight."""

    rows: Sequence[int]
    features: Sequence[Tensor]
    scales: Sequence[float]

    @classmethod
    def of(cls, kind: ConditioningKind, steerings: Sequence[Steering]) -> "_Pairs":
        """The rows of those pictures that want it."""
        wanting = [(one, row) for one in steerings if kind in one.scales for row in one.rows]
        return cls(
            [row for _, row in wanting],
            [one.features[kind] for one, _ in wanting],
            [one.scales[kind] for one, _ in wanting],
        )

    @classmethod
    def of_all(cls, kind: ConditioningKind, steerings: Sequence[Steering]) -> "_Pairs":
        """All rows, at weight 0 those of pictures that do not want it.

        Some work is wasted, but passes have few forms in any company: those are compiled and recorded.
        """
        some = next(one.features[kind] for one in steerings if kind in one.scales)
        rows = [(one, row) for one in steerings for row in one.rows]
        return cls(
            [row for _, row in rows],
            [one.features[kind] if kind in one.scales else some for one, _ in rows],
            [one.scales.get(kind, 0.0) for one, _ in rows],
        )


def _pass(network: Any, step: StepInput, pairs: Sequence[_Pairs], sizes: BatchSizes) -> ControlPass:
    """One batch of all pairs, kind after kind."""
    rows = sizes.filled([row for one in pairs for row in one.rows])
    features = sizes.filled([feature for one in pairs for feature in one.features])
    scales = sizes.filled([scale for one in pairs for scale in one.scales])
    counts = [len(one.rows) for one in pairs]
    ends = list(itertools.accumulate(counts))
    return ControlPass(
        network,
        _index(rows, step),
        (torch.cat(features),),
        (step.sample.new_tensor(scales),),
        tuple(
            Share(_index(one.rows, step), end - count, end)
            for one, count, end in zip(pairs, counts, ends, strict=True)
        ),
    )


class UnionControls:
    """One network that reads all kinds at once and is told which they are.

    It mixes the kinds of a picture, so pictures run together that want the same ones.
    """

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

    def embed(self, images: Mapping[ConditioningKind, Tensor]) -> Features:
        """See Controls."""
        return {kind: self._embedder(image) for kind, image in images.items()}

    def passes(
        self, step: StepInput, steerings: Sequence[Steering], sizes: BatchSizes
    ) -> list[ControlPass]:
        """See Controls."""
        groups = dict[tuple[ConditioningKind, ...], list[Steering]]()
        for one in steerings:
            kinds = tuple(kind for kind in ConditioningKind if kind in one.scales)
            groups.setdefault(kinds, []).append(one)
        return [self._pass(step, kinds, some, sizes) for kinds, some in groups.items() if kinds]

    def _pass(
        self,
        step: StepInput,
        kinds: Sequence[ConditioningKind],
        alike: Sequence[Steering],
        sizes: BatchSizes,
    ) -> ControlPass:
        pairs = [_Pairs.of(kind, alike) for kind in kinds]
        rows = [row for one in alike for row in one.rows]
        return ControlPass(
            self._network,
            _index(sizes.filled(rows), step),
            tuple(torch.cat(sizes.filled(one.features)) for one in pairs),
            tuple(step.sample.new_tensor(sizes.filled(one.scales)) for one in pairs),
            (Share(_index(rows, step), 0, len(rows)),),
            tuple(UNION_MODES[kind] for kind in kinds),
        )


def _index(rows: Sequence[int], step: StepInput) -> Tensor | None:
    return row_index(rows, len(step.sample), step.sample.device)


def _take_embedder(network: Any) -> nn.Module:
    embedder = network.controlnet_cond_embedding
    network.controlnet_cond_embedding = nn.Identity()
    return embedder
