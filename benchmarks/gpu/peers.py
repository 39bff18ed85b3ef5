"""diffusers' own pipelines, with the same networks, text, control images, steps and guidance."""

from typing import Any

import torch
from diffusers import (
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionPipeline,
)

from benchmarks.gpu.assembly import make_job
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.drawing import measure
from benchmarks.gpu.networks import UNION_KINDS, models_of
from writing_service.types import GenerationJob

BLOCK = "BasicTransformerBlock"


def plain(bench: Bench) -> None:
    """As its documentation writes it, but for the models, which stay on the device: it lets them come and go.

    One picture and four, as far as `batches` names them.
    """
    options = bench.options
    peer = _peer(bench)
    for side, pictures in ((options.side, 1), (options.side, 4), (options.side // 2, 1)):
        if pictures not in options.batches:
            continue
        job = make_job(side, options.steps, pictures)
        measure(bench, f"diffusers {side}² × {pictures}", lambda one: _draw(peer, one), job)


def compiled(bench: Bench) -> None:
    """As diffusers' guide to fast diffusion advises: channels last, fused projections, torch.compile."""
    options = bench.options
    peer = _peer(bench)
    networks = [peer.unet, peer.vae, *_nets(peer)]
    for network in networks:
        network.to(memory_format=torch.channels_last)
    peer.fuse_qkv_projections()
    for network in [peer.unet, *_nets(peer)]:
        _compile(network, options.compile, options.mode)
    job = make_job(options.side, options.steps)
    name = f"diffusers, compiled ({options.compile}, {options.mode}) {options.side}² × 1"
    measure(bench, name, lambda one: _draw(peer, one), job)


def plain_union(bench: Bench) -> None:
    """Its pipeline for the union network."""
    dtype = _dtype(bench)
    models = models_of(bench.options.models, bench.device)
    network = next(iter(models.union(dtype).values()))
    peer = _of(StableDiffusionXLControlNetUnionPipeline, models.base(dtype), network)
    side = bench.options.side
    job = make_job(side, bench.options.steps)
    measure(
        bench, f"diffusers, union {side}² × 1", lambda one: _draw_union(peer, one), job, union=True
    )


def _dtype(bench: Bench) -> torch.dtype:
    """float16 is what its documentation uses; on a CPU it would be a torture."""
    return torch.float16 if bench.on_gpu else torch.float32


def _peer(bench: Bench) -> Any:
    dtype = _dtype(bench)
    models = models_of(bench.options.models, bench.device)
    networks = models.controlnets(dtype)
    return _of(StableDiffusionXLControlNetPipeline, models.base(dtype), list(networks.values()))


def _of(pipeline: Any, base: Any, controlnet: Any) -> Any:
    parts = {name: one for name, one in base.components.items() if one is not None}
    made = pipeline(**parts, controlnet=controlnet, add_watermarker=False)
    made.set_progress_bar_config(disable=True)
    return made


def _nets(peer: Any) -> list[Any]:
    return list(dict.fromkeys(peer.controlnet.nets))


def _compile(network: Any, what: str, mode: str) -> None:
    """The whole network, or like compile_repeated_blocks, which ControlNets lack, its blocks."""
    if what == "whole":
        network.compile(mode=mode)
        return
    for block in [one for one in network.modules() if type(one).__name__ == BLOCK]:
        block.compile(fullgraph=True, mode=mode)


def _draw(peer: Any, job: GenerationJob) -> Any:
    return peer(
        image=list(job.control_images.values()),
        controlnet_conditioning_scale=list(job.conditioning_scales.values()),
        **_arguments(job),
    ).images


def _draw_union(peer: Any, job: GenerationJob) -> Any:
    return peer(
        control_image=list(job.control_images.values()),
        control_mode=list(UNION_KINDS),
        controlnet_conditioning_scale=list(job.conditioning_scales.values()),
        **_arguments(job),
    ).images


def _arguments(job: GenerationJob) -> dict[str, Any]:
    return {
        "prompt": job.prompt,
        "negative_prompt": job.negative_prompt,
        "num_inference_steps": job.num_inference_steps,
        "guidance_scale": job.guidance_scale,
        "num_images_per_prompt": len(job.seeds),
        "generator": torch.Generator("cpu").manual_seed(job.seeds[0]),
        "width": job.size.width,
        "height": job.size.height,
    }
