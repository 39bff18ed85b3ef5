"""Our engine around the networks that are measured, and the jobs that it is given."""

import asyncio
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.gpu.bench import Bench
from benchmarks.gpu.networks import models_of
from writing_service.diffusion.batching import ROWS
from writing_service.diffusion.denoising.controls import controls_of
from writing_service.diffusion.denoising.denoiser import Denoiser
from writing_service.diffusion.denoising.texts import TokenCounter
from writing_service.diffusion.device.compiling import BatchSizes
from writing_service.diffusion.device.profiles import FOR_FIXED_SIZES
from writing_service.diffusion.device.recording import Recorder
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.types import ConditioningKind, DrawnImages, GenerationJob, Size

Tweak = Callable[[Any, Mapping[ConditioningKind, Any]], None]
"""Changes a base pipeline and its ControlNets before they are tuned."""


@dataclass(frozen=True)
class Engine:
    """The service's pipeline, without the service around it."""

    gpu: GPUManager
    base: Any
    denoiser: Denoiser
    pipeline: MultiControlNetPipeline
    applied: Collection[str]
    """What of the profile took effect."""
    runner: asyncio.Runner

    @property
    def networks(self) -> list[Any]:
        """The distinct ControlNets."""
        return list(self.denoiser.controls.networks)

    @property
    def dtype(self) -> str:
        """Of the networks."""
        return str(self.gpu.dtype).removeprefix("torch.")

    def draw(self, job: GenerationJob) -> DrawnImages:
        """The job's pictures."""
        return self.runner.run(self.pipeline.draw(job))


@contextmanager
def assembled(
    bench: Bench,
    union: bool = False,
    tweak: Tweak | None = None,
    sides: Sequence[int] = (),
    most: int = 1,
    **settings: Any,
) -> Generator[Engine]:
    """With one union network or one ControlNet for each kind; `settings` are of the GPU.

    Every size is drawn as asked for. What the profile compiles is compiled for pictures of `sides` (none: the size that
    is measured), at most `most` of them in a batch.
    """
    gpu = bench.gpu(**{"max_batch_size": max(bench.options.batches), **settings})
    models = models_of(bench.options.models, bench.device)
    networks = models.union(gpu.dtype) if union else models.controlnets(gpu.dtype)
    base = models.base(gpu.dtype)
    if tweak is not None:
        tweak(base, networks)
    controls = controls_of(networks)
    applied = gpu.optimize_pipeline(base, controls.networks, controls.embedders)["applied"]
    sizes = BatchSizes(fixed=bool(FOR_FIXED_SIZES & applied.keys()))
    recorder = Recorder(gpu.torch_device) if "use_cuda_graphs" in applied else None
    counter = TokenCounter((base.tokenizer, base.tokenizer_2))
    denoiser = Denoiser(
        base, controls, gpu.torch_device, gpu.dtype, counter, sizes=sizes, recorder=recorder
    )
    for side in (sides or (bench.options.side,)) if sizes.fixed else ():
        compiling = bench.seconds(partial(denoiser.compile, Size(side, side), ROWS * most))
        bench.row(f"compiling {side}² × {most}", seconds=compiling)
    pipeline = pipeline_of(denoiser, gpu)
    with asyncio.Runner() as runner:
        try:
            yield Engine(gpu, base, denoiser, pipeline, applied, runner)
        finally:
            pipeline.close()


def pipeline_of(
    denoiser: Denoiser, gpu: GPUManager, deterministic: bool = False
) -> MultiControlNetPipeline:
    """With an engine thread of its own; two of one denoiser must not draw at once."""
    counter = TokenCounter((denoiser.base.tokenizer, denoiser.base.tokenizer_2))
    used = dict.fromkeys(denoiser.controls.kinds, "random")
    return MultiControlNetPipeline(denoiser, gpu, counter, "random", used, deterministic)


def make_job(side: int, steps: int, pictures: int = 1, **changes: Any) -> GenerationJob:
    """A guided job under all four kinds."""
    plain: dict[str, Any] = {
        "prompt": "An ornate traditional folk art picture of a cat, patterned paper, decorated frame",
        "negative_prompt": "photograph, modern, comic, glossy, illegible strokes",
        "control_images": control_images(side),
        "conditioning_scales": dict(zip(ConditioningKind, (0.7, 0.4, 0.5, 0.6), strict=True)),
        "num_inference_steps": steps,
        "guidance_scale": 7.5,
        "seeds": tuple(range(pictures)),
        "size": Size(side, side),
    }
    return GenerationJob(**{**plain, **changes})


def control_images(side: int) -> dict[ConditioningKind, Image.Image]:
    """Another smooth play of colours for each kind."""
    rng = np.random.default_rng(5)
    coarse = [rng.integers(0, 256, (8, 8, 3), np.uint8) for _ in ConditioningKind]
    images = [Image.fromarray(one).resize((side, side)) for one in coarse]
    return dict(zip(ConditioningKind, images, strict=True))
