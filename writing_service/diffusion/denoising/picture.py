"""One picture on its way through its steps."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from writing_service.diffusion.denoising.steering import Features
from writing_service.diffusion.denoising.unet import DeepFeatures
from writing_service.types import ALWAYS, ConditioningKind, Size, Window


@dataclass(frozen=True)
class PreparedJob:
    """A job's text and control images as the networks take them.

    `states` and `added` hold one row, or under guidance two, the unconditional one first, which only
    the steps in the window `guidance` take. The sides of `size` are multiples of the VAE's factor.
    """

    states: Tensor
    added: Mapping[str, Tensor]
    features: Features
    scales: Mapping[ConditioningKind, float]
    windows: Mapping[ConditioningKind, Window]
    guidance: Window
    guidance_scale: float
    guidance_embedding: Tensor | None
    cache_interval: int
    steps: int
    size: Size


@dataclass(frozen=True, eq=False)
class Direction:
    """Where a picture's next step leads, (1, channels, height, width), float32.

    `deep` are features that later steps reuse, where the picture wants that.
    """

    latents: Tensor
    deep: DeepFeatures | None = None


class Picture:
    """One seed's picture on its way, with a scheduler and a source of noise of its own."""

    def __init__(
        self, job: PreparedJob, scheduler: Any, generator: torch.Generator, noise: Tensor
    ) -> None:
        """`noise` is (1, channels, height, width), float32, of deviation 1."""
        self.job = job
        self.steps_done = 0
        self.latents = noise * scheduler.init_noise_sigma
        self.expected = self.latents
        """The finished latents, as far as the scheduler tells what it expects; else the latents."""
        self.deep: DeepFeatures | None = None
        """What its last whole step left for shallow ones."""
        self._scheduler = scheduler
        self._extra = _step_arguments(scheduler, generator)

    @property
    def steps(self) -> int:
        """In all; some schedulers take more than were asked."""
        return len(self._scheduler.timesteps)

    @property
    def timestep(self) -> Tensor:
        """Of the next step, without dimensions."""
        return self._scheduler.timesteps[self.steps_done]

    @property
    def rows(self) -> int:
        """Of the next step's batch: two under guidance, else one."""
        guided = self.job.guidance.covers(self.steps_done, self.steps)
        return len(self.job.states) if guided else 1

    @property
    def keeps(self) -> bool:
        """Whether steps after the next one may reuse what it finds."""
        return self.job.cache_interval > 1

    @property
    def deep_now(self) -> DeepFeatures | None:
        """What the next step reuses, for its rows; None when it runs the networks as a whole."""
        if self.deep is None or self.steps_done % self.job.cache_interval == 0:
            return None
        return self.deep.of_rows(-self.rows, None)

    @property
    def scales_now(self) -> Mapping[ConditioningKind, float]:
        """Weights at the next step, of those kinds that take part in it."""
        return {
            kind: scale
            for kind, scale in self.job.scales.items()
            if self.job.windows.get(kind, ALWAYS).covers(self.steps_done, self.steps)
        }

    def scaled(self) -> Tensor:
        """The latents as the networks take them at the next step."""
        return self._scheduler.scale_model_input(self.latents, self.timestep)

    def guided(self, answer: Tensor) -> Tensor:
        """One direction from the UNet's answer to the picture's rows."""
        if len(answer) == 1:
            return answer
        unwanted, wanted = answer.chunk(2)
        return unwanted + self.job.guidance_scale * (wanted - unwanted)

    @torch.no_grad()
    def advance(self, direction: Direction) -> None:
        """Take the step."""
        taken = self._scheduler.step(direction.latents, self.timestep, self.latents, **self._extra)
        self.latents = taken.prev_sample
        told = (taken.get(name) for name in ("pred_original_sample", "denoised"))
        self.expected = next((one for one in told if one is not None), self.latents)
        self.deep = direction.deep
        self.steps_done += 1


def _step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """The keywords that this scheduler's step takes: some draw noise of their own."""
    known = inspect.signature(scheduler.step).parameters
    return {name: one for name, one in {"generator": generator}.items() if name in known}
