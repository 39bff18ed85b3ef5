"""One step of many pictures at once: ours. Everything inside it is diffusers'.

For one picture it gives what diffusers' StableDiffusionXLControlNetPipeline and its union sibling
give. Owning it lets pictures of different text, control, steps and guidance share a pass of the
networks, lets each be left between two steps, skips ControlNets that nobody wants, and embeds each
control image once.
"""

import copy
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from writing_service.diffusion.denoising.control_pass import ControlPass
from writing_service.diffusion.denoising.controls import Controls, residuals_of
from writing_service.diffusion.denoising.decoding import Decoder
from writing_service.diffusion.denoising.framing import Frame, NativeSizes
from writing_service.diffusion.denoising.picture import Direction, Picture, PreparedJob
from writing_service.diffusion.denoising.rows import (
    directions_of,
    rows_of,
    steerings_of,
    step_input_of,
)
from writing_service.diffusion.denoising.steering import StepInput
from writing_service.diffusion.denoising.texts import TextEncoders, TokenCounter
from writing_service.diffusion.denoising.unet import DeepFeatures, SteppedUNet
from writing_service.diffusion.device.compiling import BatchSizes, nothing_compiled
from writing_service.diffusion.device.recording import Recordable, Recorder, Work
from writing_service.types import ConditioningKind, GenerationJob, Size

ANY_SIZE = NativeSizes()
ANY_BATCH = BatchSizes()


class Denoiser:
    """Runs the networks of a diffusers pipeline under `controls`. One thread at a time."""

    def __init__(
        self,
        base: Any,
        controls: Controls,
        device: torch.device,
        dtype: torch.dtype,
        counter: TokenCounter,
        native: NativeSizes = ANY_SIZE,
        sizes: BatchSizes = ANY_BATCH,
        recorder: Recorder | None = None,
    ) -> None:
        """Pictures of other sizes than `native` are drawn at one of those, then resized.

        `counter` says how long prompts are cut into chunks, `sizes` are those of the batches that the
        networks are given; `recorder` runs their passes.
        """
        self._base = base
        self._native = native
        self._sizes = sizes
        self._recorder = recorder
        self._device = device
        self._dtype = dtype
        self._texts = TextEncoders(base, device, counter)
        self._unet = SteppedUNet(base.unet)
        self._ended: torch.Event | None = None
        self.decoder = Decoder(base, device)
        self.controls = controls

    @property
    def size_multiple(self) -> int:
        """Pixels to one latent: sizes are multiples of it."""
        return self._base.vae_scale_factor

    @property
    def base(self) -> Any:
        """The diffusers pipeline."""
        return self._base

    def rows(self, job: GenerationJob) -> int:
        """That a picture of the job takes in a batch: two under guidance, else one."""
        # Networks that were distilled with guidance take it as an input, not as a second row.
        return 2 if job.guidance_scale > 1 and not self._distilled else 1

    def text_chunks(self, job: GenerationJob) -> int:
        """Of each of its rows: texts of unequal length cannot share a pass of the networks. On any thread."""
        return self._texts.chunks(job.prompt, job.negative_prompt, self.rows(job) == 2)

    @torch.no_grad()
    def prepare(self, job: GenerationJob) -> PreparedJob:
        """Encode the prompt and embed the control images; the same for all pictures of the job."""
        frame, rows = self.frame(job.size), self.rows(job)
        text = self._texts.encode(job.prompt, job.negative_prompt, rows == 2)
        images = {
            kind: self._tensor(frame.fit(job.control_images[kind]))
            for kind in ConditioningKind
            if kind in job.control_images and job.conditioning_scales.get(kind)
        }
        return PreparedJob(
            text.states,
            {"text_embeds": text.pooled, "time_ids": self._time_ids(frame.drawn, rows)},
            self.controls.embed(images),
            {kind: float(job.conditioning_scales[kind]) for kind in images},
            job.control_windows,
            job.guidance_window,
            job.guidance_scale,
            self._guidance_embedding(job.guidance_scale) if self._distilled else None,
            job.cache_interval,
            job.num_inference_steps,
            frame.drawn,
        )

    def begin(self, job: PreparedJob, seed: int) -> Picture:
        """The seed's noise, before its first step."""
        scheduler = copy.deepcopy(self._base.scheduler)
        scheduler.set_timesteps(job.steps, device=self._device)
        generator = torch.Generator("cpu").manual_seed(seed)
        return Picture(job, scheduler, generator, self._noise(job.size, generator))

    @torch.no_grad()
    def directions(self, pictures: Sequence[Picture]) -> list[Direction]:
        """Where each picture's next step leads.

        One pass of the UNet over all rows of the pictures, whose latents have equal shapes, and one
        more over those that reuse deep features. Changes no picture, so that it can be asked again.
        """
        with nothing_compiled() if self._sizes.fixed else nullcontext():
            return self._passes(pictures)

    @torch.no_grad()
    def compile(self, size: Size, most: int) -> None:
        """Compile for pictures of this size, in batches of at most `most` rows; may take minutes."""
        for kinds in (self.controls.kinds, list(self.controls.kinds)[:1]):
            job = self.prepare(_blank(size, kinds))
            for rows in self._sizes.up_to(most):
                self._passes([self.begin(job, 0) for _ in range(rows)])

    def _passes(self, pictures: Sequence[Picture]) -> list[Direction]:
        whole = [picture for picture in pictures if picture.deep_now is None]
        shallow = [picture for picture in pictures if picture.deep_now is not None]
        found = dict(zip(whole, self._whole(whole), strict=True))
        found |= zip(shallow, self._shallow(shallow), strict=True)
        return [found[picture] for picture in pictures]

    def forget_recordings(self) -> None:
        """Give their memory back."""
        if self._recorder is not None:
            self._recorder.forget()

    def keep_up(self) -> None:
        """Wait for the device to end the step before the last one asked of it.

        So it always has work at hand, yet what is told of steps is not far from what is done.
        """
        if self._device.type != "cuda":
            return
        ended = torch.cuda.current_stream(self._device).record_event()
        self._ended, before = ended, self._ended
        if before is not None:
            before.synchronize()

    def frame(self, asked: Size) -> Frame:
        """Where a picture of this size is drawn."""
        return self._native.frame(asked, self.size_multiple)

    @property
    def _distilled(self) -> bool:
        return self._base.unet.config.time_cond_proj_dim is not None

    def _whole(self, pictures: Sequence[Picture]) -> list[Direction]:
        if not pictures:
            return []
        step = step_input_of(pictures, self._dtype, self._sizes)
        passes = self.controls.passes(step, steerings_of(pictures), self._sizes)
        if not any(picture.keeps for picture in pictures):
            (answer,) = self._run("whole", self._unet_whole, [step, *passes])
            return directions_of(answer, pictures)
        answer, hidden, *residuals = self._run("whole and deep", self._unet_deep, [step, *passes])
        deep = DeepFeatures(hidden, tuple(residuals))
        kept = [
            deep.of_rows(rows.start, rows.stop) if picture.keeps else None
            for picture, rows in zip(pictures, rows_of(pictures), strict=True)
        ]
        return directions_of(answer, pictures, kept)

    def _shallow(self, pictures: Sequence[Picture]) -> list[Direction]:
        if not pictures:
            return []
        step = step_input_of(pictures, self._dtype, self._sizes)
        features = [one.deep_now for one in pictures if one.deep_now]
        rows = [one.of_rows(row, row + 1) for one in features for row in range(len(one.hidden))]
        deep = DeepFeatures.together(self._sizes.filled(rows))
        (answer,) = self._run("shallow", self._unet_shallow, [step, deep])
        return directions_of(answer, pictures, [picture.deep for picture in pictures])

    def _run(self, name: str, work: Work, given: Sequence[Recordable]) -> tuple[Tensor, ...]:
        """By a recording where the device keeps those, and the models stay there."""
        if self._recorder is None or self._unet.offloaded:
            return work(*given)
        return self._recorder.run(name, work, given)

    def _unet_whole(self, step: StepInput, *passes: ControlPass) -> tuple[Tensor, ...]:
        return (self._unet.whole(step, residuals_of(step, passes)),)

    def _unet_deep(self, step: StepInput, *passes: ControlPass) -> tuple[Tensor, ...]:
        answer, deep = self._unet.whole_and_deep(step, residuals_of(step, passes))
        return answer, *deep.tensors

    def _unet_shallow(self, step: StepInput, deep: DeepFeatures) -> tuple[Tensor, ...]:
        return (self._unet.shallow(step, deep),)

    def _time_ids(self, size: Size, rows: int) -> Tensor:
        """SDXL's size conditions: original size, crop's corner, target size, heights first.

        Kept in float32: bfloat16 would round sizes above 256.
        """
        whole = (size.height, size.width)
        ids = torch.tensor([[*whole, 0, 0, *whole]], dtype=torch.float32, device=self._device)
        return ids.repeat(rows, 1)

    def _tensor(self, image: Image.Image) -> Tensor:
        """RGB → (1, 3, height, width) from 0 to 1. Bytes go to the device, which is quicker at fractions."""
        pixels = torch.from_numpy(np.array(image)).to(self._device)
        return (pixels.permute(2, 0, 1)[None].float() / 255).to(self._dtype).contiguous()

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


def _blank(size: Size, kinds: Iterable[ConditioningKind]) -> GenerationJob:
    """One unguided step of nothing under all these kinds."""
    image = Image.new("RGB", (size.width, size.height))
    return GenerationJob(
        "",
        "",
        dict.fromkeys(kinds, image),
        dict.fromkeys(kinds, 1.0),
        num_inference_steps=1,
        guidance_scale=1.0,
        seeds=(0,),
        size=size,
    )
