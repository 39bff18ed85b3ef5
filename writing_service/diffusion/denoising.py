"""One step of many pictures at once: ours. Everything inside it is diffusers'.

For one picture it gives what diffusers' StableDiffusionXLControlNetPipeline and its union sibling
give. Owning it lets pictures of different text, control, steps and guidance share a pass of the
networks, lets each be left between two steps, skips ControlNets that nobody wants, and embeds each
control image once.
"""

import copy
import inspect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor

from writing_service.diffusion.compiling import BatchSizes, nothing_compiled
from writing_service.diffusion.control_pass import ControlPass
from writing_service.diffusion.controls import Controls, residuals_of
from writing_service.diffusion.framing import Frame, NativeSizes
from writing_service.diffusion.previews import LatentPreview
from writing_service.diffusion.recording import Recordable, Recorder, Work
from writing_service.diffusion.steering import Features, Steering, StepInput
from writing_service.diffusion.texts import TextEncoders, TokenCounter
from writing_service.diffusion.unet import DeepFeatures, SteppedUNet
from writing_service.errors import GenerationFailed
from writing_service.types import ALWAYS, ConditioningKind, GenerationJob, Size, Window

ANY_SIZE = NativeSizes()
ANY_BATCH = BatchSizes()


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


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded picture (1, 3, height, width) from -1 to 1, float32, once the device has `ended`."""

    pixels: Tensor
    ended: torch.Event | None = None

    def finite(self) -> Tensor:
        """The pixels, waited for. Raises GenerationFailed when numbers overflowed: they would be black."""
        if self.ended is not None:
            self.ended.synchronize()
        if bool(torch.isfinite(self.pixels).all()):
            return self.pixels
        raise GenerationFailed(
            "The model's numbers overflowed and gave no picture; set ai_generation.gpu.dtype to "
            "bfloat16 or float32, or use a VAE that is made for float16."
        )


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
        self._beside = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.controls = controls

    @property
    def size_multiple(self) -> int:
        """Pixels to one latent: sizes are multiples of it."""
        return self._base.vae_scale_factor

    @property
    def base(self) -> Any:
        """The diffusers pipeline."""
        return self._base

    def drawn_size(self, job: GenerationJob) -> Size:
        """The size at which the job's pictures are drawn, before they are cut and reduced."""
        return self._frame(job.size).drawn

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
        frame, rows = self._frame(job.size), self.rows(job)
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

    @cached_property
    def preview(self) -> LatentPreview:
        """Of the VAE in use, fitted at the first call."""
        return LatentPreview.fit(self._base.vae, self._device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> list[Decoded]:
        """A picture of each of the latents (n, channels, height, width); on CUDA beside further steps."""
        if self._beside is None:
            return [Decoded(one) for one in self._decoded(latents).split(1)]
        # After the steps that are asked for by now, while those to come go on.
        self._beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._beside):
            pixels = self._decoded(latents)
            latents.record_stream(self._beside)
            ended = self._beside.record_event()
        return [Decoded(one, ended) for one in pixels.split(1)]

    def _decoded(self, latents: Tensor) -> Tensor:
        """(n, 3, height, width) from -1 to 1, float32."""
        vae = self._base.vae
        unscaled = _unscaled(latents, vae.config).to(vae.dtype)
        return vae.decode(unscaled, return_dict=False)[0].float()

    def to_picture(self, decoded: Decoded, asked: Size) -> Image.Image:
        """An image of the asked size. On any thread. Raises GenerationFailed, see Decoded."""
        (drawn,) = self._base.image_processor.postprocess(decoded.finite(), output_type="pil")
        return self._frame(asked).restore(drawn)

    def _frame(self, asked: Size) -> Frame:
        return self._native.frame(asked, self.size_multiple)

    @property
    def _distilled(self) -> bool:
        return self._base.unet.config.time_cond_proj_dim is not None

    def _whole(self, pictures: Sequence[Picture]) -> list[Direction]:
        if not pictures:
            return []
        step = _step_input(pictures, self._dtype, self._sizes)
        passes = self.controls.passes(step, _steerings(pictures), self._sizes)
        if not any(picture.keeps for picture in pictures):
            (answer,) = self._run("whole", self._unet_whole, [step, *passes])
            return _directions(answer, pictures)
        answer, hidden, *residuals = self._run("whole and deep", self._unet_deep, [step, *passes])
        deep = DeepFeatures(hidden, tuple(residuals))
        kept = [
            deep.of_rows(rows.start, rows.stop) if picture.keeps else None
            for picture, rows in zip(pictures, _rows(pictures), strict=True)
        ]
        return _directions(answer, pictures, kept)

    def _shallow(self, pictures: Sequence[Picture]) -> list[Direction]:
        if not pictures:
            return []
        step = _step_input(pictures, self._dtype, self._sizes)
        features = [one.deep_now for one in pictures if one.deep_now]
        rows = [one.of_rows(row, row + 1) for one in features for row in range(len(one.hidden))]
        deep = DeepFeatures.together(self._sizes.filled(rows))
        (answer,) = self._run("shallow", self._unet_shallow, [step, deep])
        return _directions(answer, pictures, [picture.deep for picture in pictures])

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


def _rows(pictures: Sequence[Picture]) -> list[range]:
    """Which rows of the batch are each picture's."""
    ends = list(itertools.accumulate(picture.rows for picture in pictures))
    starts = [0, *ends[:-1]]
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


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


def _steerings(pictures: Sequence[Picture]) -> list[Steering]:
    return [
        Steering(rows, picture.job.features, picture.scales_now)
        for picture, rows in zip(pictures, _rows(pictures), strict=True)
    ]


def _step_input(pictures: Sequence[Picture], dtype: torch.dtype, sizes: BatchSizes) -> StepInput:
    """All rows, picture after picture."""
    # The last rows of a job's are the wanted ones, which stay when its guidance is over.
    rows = sizes.filled([(one, row) for one in pictures for row in range(-one.rows, 0)])
    scaled = {picture: picture.scaled().to(dtype) for picture in pictures}
    embeddings = [picture.job.guidance_embedding for picture, _ in rows]
    known = [one for one in embeddings if one is not None]
    return StepInput(
        torch.cat([scaled[picture] for picture, _ in rows]),
        torch.stack([picture.timestep for picture, _ in rows]),
        torch.stack([picture.job.states[row] for picture, row in rows]),
        {
            name: torch.stack([picture.job.added[name][row] for picture, row in rows])
            for name in pictures[0].job.added
        },
        torch.cat(known) if known else None,
    )


def _directions(
    answer: Tensor, pictures: Sequence[Picture], deep: Sequence[DeepFeatures | None] = ()
) -> list[Direction]:
    """The UNet's answer to all rows, taken apart; rows beyond the pictures' only filled the batch."""
    counts = [picture.rows for picture in pictures]
    parts = answer[: sum(counts)].float().split(counts)
    kept = deep or [None] * len(pictures)
    return [
        Direction(picture.guided(part), features)
        for picture, part, features in zip(pictures, parts, kept, strict=True)
    ]


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
