"""The loop over the steps of one picture: ours. Everything inside it is diffusers'.

For one picture it gives what diffusers' StableDiffusionXLControlNetPipeline and its union sibling
give. Owning it lets a picture be left between two steps, skips ControlNets of weight 0, and embeds
each control image once.
"""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from writing_service.diffusion.controls import Controls, PictureControl, StepInput
from writing_service.diffusion.framing import fit, padded_size
from writing_service.types import ConditioningKind, GenerationJob, Size

AfterStep = Callable[[int, int], None]
"""Told the number of steps done and of all; may raise to leave the picture."""


@dataclass(frozen=True)
class PreparedJob:
    """A job's text and control images as the networks take them.

    `states` and `added` hold b rows: under guidance the unconditional one first, else one. The
    sides of `size` are multiples of the VAE's factor.
    """

    states: Tensor
    added: Mapping[str, Tensor]
    control: PictureControl
    guidance_scale: float
    guidance_embedding: Tensor | None
    steps: int
    size: Size

    @property
    def guided(self) -> bool:
        """Whether there is an unconditional row."""
        return len(self.states) == 2


class Denoiser:
    """Runs the networks of a diffusers pipeline under `controls`. One thread at a time."""

    def __init__(
        self, base: Any, controls: Controls, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._base = base
        self._device = device
        self._dtype = dtype
        self.controls = controls

    @property
    def size_multiple(self) -> int:
        """Pixels to one latent: sizes are multiples of it."""
        return self._base.vae_scale_factor

    @torch.no_grad()
    def prepare(self, job: GenerationJob) -> PreparedJob:
        """Encode the prompt and embed the control images; the same for all pictures of the job."""
        size = padded_size(job.size, self.size_multiple)
        # Networks that were distilled with guidance take it as an input, not as a second row.
        distilled = self._base.unet.config.time_cond_proj_dim is not None
        states, pooled = self._encode(job, job.guidance_scale > 1 and not distilled)
        added = {"text_embeds": pooled, "time_ids": self._time_ids(size, len(states))}
        return PreparedJob(
            states,
            added,
            self._control(job, size),
            job.guidance_scale,
            self._guidance_embedding(job.guidance_scale) if distilled else None,
            job.num_inference_steps,
            size,
        )

    @torch.no_grad()
    def denoise(self, job: PreparedJob, seed: int, after_step: AfterStep) -> Tensor:
        """From the seed's noise to latents (1, channels, height, width), float32."""
        scheduler = copy.deepcopy(self._base.scheduler)
        scheduler.set_timesteps(job.steps, device=self._device)
        generator = torch.Generator("cpu").manual_seed(seed)
        extra = _step_arguments(scheduler, generator)
        latents = self._noise(job.size, generator) * scheduler.init_noise_sigma
        for done, timestep in enumerate(scheduler.timesteps, start=1):
            noise = self._predict(job, scheduler.scale_model_input(latents, timestep), timestep)
            latents = scheduler.step(noise, timestep, latents, **extra, return_dict=False)[0]
            after_step(done, len(scheduler.timesteps))
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents → (1, 3, height, width) from -1 to 1, float32."""
        vae = self._base.vae
        unscaled = _unscaled(latents, vae.config).to(vae.dtype)
        return vae.decode(unscaled, return_dict=False)[0].float()

    def to_picture(self, decoded: Tensor) -> Any:
        """The decoded picture as a PIL image."""
        return self._base.image_processor.postprocess(decoded, output_type="pil")[0]

    def _encode(self, job: GenerationJob, guided: bool) -> tuple[Tensor, Tensor]:
        """Text states (b, tokens, width) and pooled (b, width).

        An empty negative prompt is none: the model's configuration says whether that means zeros.
        """
        states, unwanted_states, pooled, unwanted_pooled = self._base.encode_prompt(
            job.prompt,
            device=self._device,
            do_classifier_free_guidance=guided,
            negative_prompt=job.negative_prompt or None,
        )
        if not guided:
            return states, pooled
        return torch.cat([unwanted_states, states]), torch.cat([unwanted_pooled, pooled])

    def _time_ids(self, size: Size, rows: int) -> Tensor:
        """SDXL's size conditions: original size, crop's corner, target size, heights first.

        Kept in float32: bfloat16 would round sizes above 256.
        """
        whole = (size.height, size.width)
        ids = torch.tensor([[*whole, 0, 0, *whole]], dtype=torch.float32, device=self._device)
        return ids.repeat(rows, 1)

    def _control(self, job: GenerationJob, size: Size) -> PictureControl:
        scales = {kind: scale for kind, scale in job.conditioning_scales.items() if scale}
        active = [one for one in ConditioningKind if one in scales and one in job.control_images]
        images = {
            kind: self._tensor(fit(job.control_images[kind], job.size, size)) for kind in active
        }
        return self.controls.embed(images, scales)

    def _tensor(self, image: Any) -> Tensor:
        """PIL → (1, 3, height, width) from 0 to 1."""
        processor = self._base.image_processor
        pixels = processor.numpy_to_pt(processor.pil_to_numpy(image))
        return pixels.to(device=self._device, dtype=self._dtype)

    def _guidance_embedding(self, scale: float) -> Tensor:
        width = self._base.unet.config.time_cond_proj_dim
        embedded = self._base.get_guidance_scale_embedding(torch.tensor([scale - 1]), width)
        return embedded.to(device=self._device, dtype=self._dtype)

    def _noise(self, size: Size, generator: torch.Generator) -> Tensor:
        """Drawn on the CPU in float32, so that a seed means the same on every device and format."""
        factor = self.size_multiple
        channels = self._base.unet.config.in_channels
        shape = (1, channels, size.height // factor, size.width // factor)
        return randn_tensor(shape, generator, self._device, torch.float32)

    def _predict(self, job: PreparedJob, latents: Tensor, timestep: Tensor) -> Tensor:
        """The UNet's answer under the ControlNets, guided; float32."""
        sample = latents.repeat(len(job.states), 1, 1, 1).to(self._dtype)
        step = StepInput(sample, timestep, job.states, job.added)
        residuals = job.control.residuals(step)
        answer = self._base.unet(
            sample,
            timestep,
            encoder_hidden_states=job.states,
            timestep_cond=job.guidance_embedding,
            down_block_additional_residuals=residuals and residuals.down,
            mid_block_additional_residual=residuals and residuals.mid,
            added_cond_kwargs=dict(job.added),
            return_dict=False,
        )[0].float()
        if not job.guided:
            return answer
        unwanted, wanted = answer.chunk(2)
        return unwanted + job.guidance_scale * (wanted - unwanted)


def _step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """The keywords that this scheduler's step takes: some draw noise of their own."""
    known = inspect.signature(scheduler.step).parameters
    return {name: one for name, one in {"generator": generator}.items() if name in known}


def _unscaled(latents: Tensor, config: Any) -> Tensor:
    """What the VAE was trained on, from what the UNet was."""
    mean, deviation = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is None or deviation is None:
        return latents / config.scaling_factor
    shape = (1, -1, 1, 1)
    return latents * latents.new_tensor(deviation).view(shape) / config.scaling_factor + (
        latents.new_tensor(mean).view(shape)
    )
