"""What a picture takes beside its steps, stage by stage, in milliseconds. While these run, the GPU may wait."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import torch

from benchmarks.gpu.assembly import Engine, assembled, make_job
from benchmarks.gpu.bench import Bench
from writing_service.conditioning.fan_out import build_fan_out
from writing_service.diffusion.denoising.picture import Direction
from writing_service.encoding import encode_picture, to_base64
from writing_service.rendering.fonts import FontLibrary
from writing_service.rendering.glyphs import WordRenderer
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import GenerationJob, ImageFormat, Size

STYLE = "ink"


def stages(bench: Bench) -> None:
    """In the order of a request."""
    with assembled(bench) as ours:
        # The scheduler's part of a step is timed on one picture, which must not come to its end.
        job = make_job(bench.options.side, bench.options.repeats + 2)
        for name, work in (_before(bench, ours) | _drawing(ours, job)).items():
            bench.row(name, ms=1000 * bench.median(work))
        for name, work in _after(ours, job).items():
            bench.row(name, ms=1000 * bench.median(work))


def _before(bench: Bench, ours: Engine) -> Mapping[str, Callable[[], Any]]:
    """On the CPU, before anything is asked of the GPU."""
    side, art = bench.options.side, PictogramLibrary().named("books")
    composer = SceneComposer(WordRenderer(FontLibrary()))
    compose = partial(composer.compose, "学习", "auto", Size(side, side), art, seed=7)
    scene, fan_out = compose(), build_fan_out()
    methods = {kind: names[0] for kind, names in fan_out.methods().items()}

    async def conditioned() -> Any:
        return await fan_out.generate(scene, methods, 1, STYLE)

    return {
        "render the word and compose the scene": compose,
        "four control images": lambda: ours.runner.run(conditioned()),
    }


def _drawing(ours: Engine, job: GenerationJob) -> Mapping[str, Callable[[], Any]]:
    """On the GPU, beside the UNet and the ControlNets."""
    texts, denoiser = itertools.count(), ours.denoiser

    def new_texts() -> None:
        number = next(texts)
        denoiser.prepare(
            replace(job, prompt=f"{job.prompt} {number}", negative_prompt=f"not {number}")
        )

    prepared = denoiser.prepare(job)
    picture = denoiser.begin(prepared, 0)
    stepped = denoiser.begin(prepared, 0)
    direction = Direction(torch.randn_like(stepped.latents))

    def advance() -> None:
        stepped.scaled()
        stepped.advance(direction)

    return {
        "two texts encoded, four images embedded": new_texts,
        "the same with known texts": partial(denoiser.prepare, job),
        "noise and a scheduler of its own": partial(denoiser.begin, prepared, 0),
        "scheduler's part of one step": advance,
        "decoding": partial(denoiser.decoder.decode, picture.latents),
    }


def _after(ours: Engine, job: GenerationJob) -> Mapping[str, Callable[[], Any]]:
    """From the decoded tensor to what goes over the wire."""
    latents = ours.denoiser.begin(ours.denoiser.prepare(job), 0).latents
    frame = ours.denoiser.frame(job.size)
    (decoded,) = ours.denoiser.decoder.decode(latents)
    image = ours.denoiser.decoder.to_picture(decoded, frame)
    files = {one: encode_picture(image, one) for one in ImageFormat}
    png = to_base64(files[ImageFormat.PNG])
    return {
        "decoded tensor to image": partial(ours.denoiser.decoder.to_picture, decoded, frame),
        **{f"{one.value} file": partial(encode_picture, image, one) for one in ImageFormat},
        "base64 of the PNG": partial(to_base64, files[ImageFormat.PNG]),
        "JSON with it": partial(orjson.dumps, {"generated_image_base64": png}),
    }
