"""Seconds a picture with the embedded checkpoint, ours against diffusers' own pipeline. Run by `make bench-embedded`.

The peer is StableDiffusionXLControlNetPipeline with the same weights, number format, memory layout, prompt, control
images, steps and guidance. Both are warmed by one picture and draw each size as it is; the figures are medians.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from diffusers import ControlNetModel, StableDiffusionXLControlNetPipeline

from writing_service.app import assemble_generator
from writing_service.config import Settings, load_settings
from writing_service.diffusion.checkpoints.parts import EMBEDDED
from writing_service.diffusion.gpu import GPUManager
from writing_service.diffusion.loader import ModelLoader
from writing_service.types import GenerationJob, Size, WritingRequest

SIDES = (256, 512, 1024)
REPEATS = 3


async def main() -> None:
    """One line a size."""
    settings = load_settings(["ai_generation.legibility.min_score=0"])
    gpu = GPUManager(settings.ai_generation.gpu)
    models, cache = settings.ai_generation.models, settings.ai_generation.cache
    loader = ModelLoader(models, gpu, cache, render_at="requested")
    pipeline = await loader.load()
    peer = diffusers_pipeline(gpu)
    kind = str(gpu.dtype).removeprefix("torch.")
    print(f"{gpu.device.name}, {kind}; medians of {REPEATS}")
    print(f"{'size':>11}{'ours':>9}{'diffusers':>11}{'ratio':>8}{'whole request':>15}")
    for side in SIDES:
        job, whole = await a_job(settings, gpu, loader, side)
        ours = [await timed_async(pipeline.draw, job) for _ in range(REPEATS + 1)][1:]
        theirs = [timed(draw_with, peer, job) for _ in range(REPEATS + 1)][1:]
        one, other = statistics.median(ours), statistics.median(theirs)
        print(
            f"{side:>5} × {side:<5}{one:>7.2f} s{other:>9.2f} s{other / one:>7.2f}×{whole:>13.2f} s"
        )
    loader.close()


def diffusers_pipeline(gpu: GPUManager) -> Any:
    """The peer, in the same number format and memory layout."""
    controlnet = ControlNetModel.from_pretrained(EMBEDDED / "controlnet", dtype=gpu.dtype)
    peer = StableDiffusionXLControlNetPipeline.from_pretrained(
        EMBEDDED, controlnet=[controlnet] * 4, dtype=gpu.dtype, add_watermarker=False
    )
    peer.set_progress_bar_config(disable=True)
    for network in (peer.unet, peer.vae, controlnet):
        network.to(memory_format=torch.channels_last)
    return peer


async def a_job(
    settings: Settings, gpu: GPUManager, loader: ModelLoader, side: int
) -> tuple[GenerationJob, float]:
    """What a request of this size comes to, and the seconds of the whole request (with one before to warm it)."""
    generator = assemble_generator(settings.ai_generation, loader, gpu)
    request = WritingRequest("学习", "study", style="traditional", width=side, height=side, seed=1)
    await generator.generate(request)
    started = time.perf_counter()
    result = await generator.generate(request)
    seconds = time.perf_counter() - started
    images = {kind: one.image for kind, one in result.control_images.items()}
    weights = result.metadata["conditioning_weights_used"]
    return (
        GenerationJob(
            result.prompt.main_prompt,
            result.prompt.negative_prompt,
            images,
            {kind: weights[kind] for kind in images},
            result.metadata["num_inference_steps"],
            result.metadata["guidance_scale"],
            (1,),
            Size(side, side),
        ),
        seconds,
    )


def draw_with(peer: Any, job: GenerationJob) -> Any:
    """The same picture by diffusers' pipeline."""
    return peer(
        job.prompt,
        negative_prompt=job.negative_prompt,
        image=list(job.control_images.values()),
        controlnet_conditioning_scale=list(job.conditioning_scales.values()),
        num_inference_steps=job.num_inference_steps,
        guidance_scale=job.guidance_scale,
        generator=torch.Generator().manual_seed(job.seeds[0]),
        width=job.size.width,
        height=job.size.height,
    ).images[0]


def timed(work: Callable[..., Any], *arguments: Any) -> float:
    """Seconds."""
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


async def timed_async(work: Callable[..., Any], *arguments: Any) -> float:
    """Seconds."""
    started = time.perf_counter()
    await work(*arguments)
    return time.perf_counter() - started


if __name__ == "__main__":
    asyncio.run(main())
