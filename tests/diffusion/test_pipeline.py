"""The pipeline: diffusers' pictures, by our own loop; and how it behaves among others."""

import asyncio
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    ControlNetModel,
    ControlNetUnionModel,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionPipeline,
    UniPCMultistepScheduler,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.diffusion.conftest import (
    Loaders,
    Models,
    control_images,
    gpu_settings,
    make_job,
    model_settings,
)
from tests.diffusion.faults import before_runs
from tests.diffusion.tiny_models import FACTOR, KINDS, tiny_vae
from writing_service.diffusion.denoising.controls import UNION_MODES
from writing_service.diffusion.doors import Progress, Stage
from writing_service.diffusion.pipeline import MultiControlNetPipeline
from writing_service.errors import GenerationFailed, InvalidRequest, ServiceUnavailable
from writing_service.types import ConditioningKind, GenerationJob, Size, Window

CANNY, DEPTH = ConditioningKind.CANNY, ConditioningKind.DEPTH
SCHEDULERS: list[tuple[type[Any], dict[str, Any]]] = [
    (EulerDiscreteScheduler, {}),
    (DDIMScheduler, {"clip_sample": False}),
    (
        DDIMScheduler,
        {
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
            "clip_sample": False,
        },
    ),
    (EulerAncestralDiscreteScheduler, {}),
    (HeunDiscreteScheduler, {}),
    (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    (UniPCMultistepScheduler, {}),
    (LCMScheduler, {}),
]


def by_diffusers(reference: Any, job: GenerationJob, **more: Any) -> Image.Image:
    reference.set_progress_bar_config(disable=True)
    return reference(
        job.prompt,
        negative_prompt=job.negative_prompt or None,
        num_inference_steps=job.num_inference_steps,
        guidance_scale=job.guidance_scale,
        generator=torch.Generator().manual_seed(job.seeds[0]),
        width=job.size.width,
        height=job.size.height,
        controlnet_conditioning_scale=list(job.conditioning_scales.values()),
        **more,
    ).images[0]


def separate_reference(tiny: Path, **changes: Any) -> Any:
    networks = [ControlNetModel.from_pretrained(tiny / "base" / kind) for kind in KINDS]
    return StableDiffusionXLControlNetPipeline.from_pretrained(
        tiny / "base", controlnet=networks, add_watermarker=False, **changes
    )


@pytest.fixture(scope="module")
def reference(tiny: Path) -> Any:
    """diffusers' own, for four separate ControlNets."""
    return separate_reference(tiny)


@pytest.fixture(scope="module")
def union_reference(tiny: Path) -> Any:
    """diffusers' own, for one network that reads all kinds."""
    return StableDiffusionXLControlNetUnionPipeline.from_pretrained(
        tiny / "base",
        controlnet=ControlNetUnionModel.from_pretrained(tiny / "union"),
        add_watermarker=False,
    )


@contextmanager
def scheduled(scheduler: type[Any], options: dict[str, Any], *pipelines: Any) -> Generator[None]:
    """All of them take their steps by this scheduler."""
    before = [one.scheduler for one in pipelines]
    for one in pipelines:
        one.scheduler = scheduler(beta_schedule="scaled_linear", **options)
    yield
    for one, own in zip(pipelines, before, strict=True):
        one.scheduler = own


def assert_same(one: Image.Image, other: Image.Image) -> None:
    """At most one of 255 apart, and not for want of a picture."""
    first, second = np.asarray(one).astype(int), np.asarray(other).astype(int)
    assert first.shape == second.shape
    assert first.std() > 5
    assert np.abs(first - second).max() <= 1


def pixels(image: Image.Image) -> bytes:
    return image.tobytes()


# What diffusers' Euler schedulers say under NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("guidance", [1.0, 6.0])
@pytest.mark.parametrize(("scheduler", "options"), SCHEDULERS)
async def test_picture_is_that_of_diffusers(
    models: Models,
    reference: Any,
    scheduler: type[Any],
    options: dict[str, Any],
    guidance: float,
) -> None:
    job = make_job(guidance_scale=guidance)
    images = list(job.control_images.values())

    with scheduled(scheduler, options, models.base, reference):
        drawn = await models.pipeline.draw(job)
        theirs = by_diffusers(reference, job, image=images)

    assert_same(drawn.images[0].image, theirs)


# What diffusers' Euler schedulers say under NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kinds", [list(ConditioningKind), [DEPTH]])
@pytest.mark.parametrize(("scheduler", "options"), SCHEDULERS)
async def test_union_picture_is_that_of_diffusers(
    union_models: Models,
    union_reference: Any,
    scheduler: type[Any],
    options: dict[str, Any],
    kinds: list[ConditioningKind],
) -> None:
    scales = {kind: 0.4 + 0.2 * place for place, kind in enumerate(kinds)}
    job = make_job(conditioning_scales=scales)

    with scheduled(scheduler, options, union_models.base, union_reference):
        drawn = await union_models.pipeline.draw(job)
        theirs = by_diffusers(
            union_reference,
            job,
            control_image=[job.control_images[kind] for kind in kinds],
            control_mode=[UNION_MODES[kind] for kind in kinds],
        )

    assert_same(drawn.images[0].image, theirs)


async def test_the_folders_scheduler_counts_whatever_the_index_says(
    own_tiny: Path, make_loader: Loaders
) -> None:
    folder = own_tiny / "base" / "scheduler"
    UniPCMultistepScheduler(beta_schedule="scaled_linear").save_pretrained(folder)
    index = own_tiny / "base" / "model_index.json"
    index.write_text(index.read_text().replace("DDIMScheduler", "UniPCMultistepScheduler"))
    job = make_job()
    pipeline = await make_loader(model_settings(own_tiny)).load()

    drawn = await pipeline.draw(job)

    images = list(job.control_images.values())
    assert_same(
        drawn.images[0].image, by_diffusers(separate_reference(own_tiny), job, image=images)
    )


async def test_windows_are_those_of_diffusers(
    reference: Any, pipeline: MultiControlNetPipeline
) -> None:
    windows = {CANNY: Window(0.0, 0.5), DEPTH: Window(0.5, 1.0)}
    job = make_job(num_inference_steps=4, control_windows=windows)
    whole = await pipeline.draw(make_job(num_inference_steps=4))

    drawn = await pipeline.draw(job)

    picture = by_diffusers(
        reference,
        job,
        image=list(job.control_images.values()),
        control_guidance_start=[0.0, 0.5, 0.0, 0.0],
        control_guidance_end=[0.5, 1.0, 1.0, 1.0],
    )
    assert_same(drawn.images[0].image, picture)
    assert pixels(drawn.images[0].image) != pixels(whole.images[0].image)


async def test_shared_network_draws_as_four_copies_of_it(tiny: Path, make_loader: Loaders) -> None:
    same = dict.fromkeys(KINDS, "./canny")
    apart = await make_loader(model_settings(tiny, controlnet_models=same)).load()
    shared_settings = model_settings(tiny, controlnet_models=same, shared_controlnet=True)
    shared = await make_loader(shared_settings).load()

    first = await apart.draw(make_job())
    second = await shared.draw(make_job())

    assert_same(first.images[0].image, second.images[0].image)


async def test_without_a_negative_prompt_guidance_is_that_of_diffusers(
    reference: Any, pipeline: MultiControlNetPipeline
) -> None:
    job = make_job(negative_prompt="")

    drawn = await pipeline.draw(job)

    images = list(job.control_images.values())
    assert_same(drawn.images[0].image, by_diffusers(reference, job, image=images))


async def test_bgr_control_image_is_that_of_diffusers(own_tiny: Path, make_loader: Loaders) -> None:
    for kind in KINDS:
        config = own_tiny / "base" / kind / "config.json"
        config.write_text(config.read_text().replace('order": "rgb"', 'order": "bgr"'))
    pipeline = await make_loader(model_settings(own_tiny)).load()
    job = make_job()

    drawn = await pipeline.draw(job)

    images = list(job.control_images.values())
    assert_same(
        drawn.images[0].image, by_diffusers(separate_reference(own_tiny), job, image=images)
    )


async def test_latents_mean_and_deviation_are_honoured(
    own_tiny: Path, make_loader: Loaders
) -> None:
    torch.manual_seed(3)
    mean, deviation = [0.1, -0.2, 0.3, 0.0], [1.5, 0.7, 1.0, 2.0]
    vae = tiny_vae(latents_mean=mean, latents_std=deviation)
    vae.save_pretrained(own_tiny / "vae")
    job = make_job()
    settings = model_settings(own_tiny, vae=str(own_tiny / "vae"))
    pipeline = await make_loader(settings).load()

    drawn = await pipeline.draw(job)

    images = list(job.control_images.values())
    reference = separate_reference(own_tiny, vae=vae)
    assert_same(drawn.images[0].image, by_diffusers(reference, job, image=images))


async def test_weight_zero_is_as_if_left_out(pipeline: MultiControlNetPipeline) -> None:
    scales = {**make_job().conditioning_scales, DEPTH: 0.0}
    images = {kind: one for kind, one in make_job().control_images.items() if kind != DEPTH}
    left_out = {kind: scale for kind, scale in scales.items() if scale}

    zero = await pipeline.draw(make_job(conditioning_scales=scales))
    absent = await pipeline.draw(make_job(conditioning_scales=left_out, control_images=images))

    assert pixels(zero.images[0].image) == pixels(absent.images[0].image)


async def test_weight_zero_costs_nothing_and_images_are_embedded_once(models: Models) -> None:
    runs, embeddings = (dict.fromkeys(ConditioningKind, 0) for _ in range(2))

    def counted(counts: dict[ConditioningKind, int], kind: ConditioningKind) -> Any:
        return lambda _: counts.update({kind: counts[kind] + 1})

    with ExitStack() as hooks:
        for counts, modules in ((runs, models.networks), (embeddings, models.embedders)):
            for kind, module in modules.items():
                hooks.enter_context(before_runs(module, counted(counts, kind)))
        job = make_job(conditioning_scales={CANNY: 1.0, DEPTH: 0.0}, num_inference_steps=4)
        await models.pipeline.draw(job)

    assert runs == dict(zip(ConditioningKind, (4, 0, 0, 0), strict=True))
    assert embeddings == dict(zip(ConditioningKind, (1, 0, 0, 0), strict=True))


async def test_each_control_image_matters(pipeline: MultiControlNetPipeline) -> None:
    pictures = set[bytes]()
    for kind in ConditioningKind:
        drawn = await pipeline.draw(make_job(conditioning_scales={kind: 1.0}))
        pictures.add(pixels(drawn.images[0].image))
    nothing = await pipeline.draw(make_job(conditioning_scales={}))
    pictures.add(pixels(nothing.images[0].image))

    assert len(pictures) == 5


async def test_seeds_decide_and_neighbours_do_not(pipeline: MultiControlNetPipeline) -> None:
    together = await pipeline.draw(make_job(seeds=(7, 8, 9)))
    alone = await pipeline.draw(make_job(seeds=(8,)))
    again = await pipeline.draw(make_job(seeds=(8,)))

    assert [one.seed for one in together.images] == [7, 8, 9]
    assert len({pixels(one.image) for one in together.images}) == 3
    assert_same(together.images[1].image, alone.images[0].image)
    assert pixels(alone.images[0].image) == pixels(again.images[0].image)


async def test_chance_elsewhere_does_not_matter(pipeline: MultiControlNetPipeline) -> None:
    torch.manual_seed(1)
    first = await pipeline.draw(make_job())
    torch.manual_seed(2)
    second = await pipeline.draw(make_job())

    assert pixels(first.images[0].image) == pixels(second.images[0].image)


async def test_largest_seed(pipeline: MultiControlNetPipeline) -> None:
    drawn = await pipeline.draw(make_job(seeds=(2**63 - 1, 2**63)))

    assert len({pixels(one.image) for one in drawn.images}) == 2


@settings(max_examples=6, deadline=None)
@given(width=st.integers(33, 70), height=st.integers(33, 70))
def test_any_size_comes_out_exactly(
    width: int, height: int, pipeline: MultiControlNetPipeline
) -> None:
    job = make_job(size=Size(width, height), num_inference_steps=1)

    drawn = asyncio.run(pipeline.draw(job))

    assert drawn.images[0].image.size == (width, height)


@pytest.mark.parametrize(("render_at", "drawn"), [("native", (128, 96)), ("requested", (64, 48))])
async def test_what_is_too_small_for_the_models_is_drawn_larger_and_reduced(
    tiny: Path, make_loader: Loaders, render_at: str, drawn: tuple[int, int]
) -> None:
    loader = make_loader(model_settings(tiny, least_side=96), render_at=render_at)
    pipeline = await loader.load()

    small = await pipeline.draw(make_job(size=Size(64, 48)))
    large = await pipeline.draw(make_job(size=Size(*drawn)))

    assert small.drawn_size == large.drawn_size == Size(*drawn)
    reduced = large.images[0].image.resize((64, 48), Image.Resampling.LANCZOS)
    apart = np.asarray(small.images[0].image, int) - np.asarray(reduced, int)
    assert np.abs(apart).mean() < 12


async def test_odd_size_is_the_middle_of_the_next_larger(
    pipeline: MultiControlNetPipeline,
) -> None:
    grey = {kind: Image.new("RGB", (61, 46), (90, 140, 200)) for kind in ConditioningKind}
    large = {kind: image.resize((64, 48)) for kind, image in grey.items()}

    odd = await pipeline.draw(make_job(size=Size(61, 46), control_images=grey))
    even = await pipeline.draw(make_job(size=Size(64, 48), control_images=large))

    assert pipeline.size_multiple == FACTOR
    middle = even.images[0].image.crop((1, 1, 62, 47))
    assert pixels(odd.images[0].image) == pixels(middle)


async def test_times_and_steps_are_told(own_pipeline: MultiControlNetPipeline) -> None:
    told = list[Progress]()

    drawn = await own_pipeline.draw(make_job(seeds=(1, 2)), told.append)

    assert [(one.stage, one.step, one.steps) for one in told] == [
        (Stage.QUEUE, 0, 6),
        (Stage.DENOISE, 2, 6),
        (Stage.DENOISE, 4, 6),
        (Stage.DECODE, 6, 6),
    ]
    assert told[0].seconds_left is None
    assert (told[1].seconds_left or 0) > 0
    assert set(drawn.stage_times_ms) == {"queue", "denoise", "decode"}
    assert drawn.stage_times_ms["denoise"] > drawn.stage_times_ms["queue"] >= 0


async def test_cancelling_stops_at_the_next_step(pipeline: MultiControlNetPipeline) -> None:
    begun = asyncio.Event()
    told = list[Progress]()

    def on_progress(progress: Progress) -> None:
        told.append(progress)
        if progress.step:
            begun.set()

    work = asyncio.create_task(pipeline.draw(make_job(num_inference_steps=900), on_progress))
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    taken = pipeline.status()["batches"]["steps"]
    await pipeline.draw(make_job(num_inference_steps=1))

    assert max(one.step for one in told) < 800
    assert pipeline.status()["batches"]["steps"] <= taken + 3


async def test_cancelled_in_the_queue_is_never_drawn(tiny: Path, make_loader: Loaders) -> None:
    pipeline = await make_loader(model_settings(tiny), deterministic=True).load()
    first = asyncio.create_task(pipeline.draw(make_job(num_inference_steps=20)))
    told = list[Progress]()
    second = asyncio.create_task(pipeline.draw(make_job(), told.append))
    await asyncio.sleep(0.01)
    second.cancel()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    await pipeline.draw(make_job(num_inference_steps=1))

    assert {(one.stage, one.step) for one in told} == {(Stage.QUEUE, 0)}


async def test_event_loop_runs_on_while_drawing(pipeline: MultiControlNetPipeline) -> None:
    ticks = list[float]()

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.005)

    ticker = asyncio.create_task(tick())
    started = time.perf_counter()
    await pipeline.draw(make_job(num_inference_steps=40))
    seconds = time.perf_counter() - started
    ticker.cancel()

    assert len(ticks) > seconds / 0.005 / 5
    assert np.diff(ticks).max() < max(0.1, seconds / 3)


async def test_concurrent_jobs_do_not_mix(pipeline: MultiControlNetPipeline) -> None:
    jobs = [make_job(seeds=(seed,), guidance_scale=1.0 + seed) for seed in range(4)]
    apart = [await pipeline.draw(job) for job in jobs]
    together = await asyncio.gather(*(pipeline.draw(job) for job in jobs))

    for one, other in zip(together, apart, strict=True):
        assert_same(one.images[0].image, other.images[0].image)


async def test_closing_refuses_what_comes_later(own_pipeline: MultiControlNetPipeline) -> None:
    running = asyncio.create_task(own_pipeline.draw(make_job(num_inference_steps=900)))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(own_pipeline.close)

    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await running
    with pytest.raises(ServiceUnavailable, match="shutting down"):
        await own_pipeline.draw(make_job())


async def test_overflow_is_no_black_picture(own_tiny: Path, make_loader: Loaders) -> None:
    torch.manual_seed(3)
    vae = tiny_vae()
    vae.decoder.conv_out.weight.data.fill_(float("nan"))
    vae.save_pretrained(own_tiny / "base" / "vae")
    pipeline = await make_loader(model_settings(own_tiny)).load()

    with pytest.raises(GenerationFailed, match="overflowed"):
        await pipeline.draw(make_job())


async def test_kind_without_a_network_is_refused_by_name(tiny: Path, make_loader: Loaders) -> None:
    only = model_settings(tiny, controlnet_models={"canny": "./canny"})
    pipeline = await make_loader(only).load()

    with pytest.raises(InvalidRequest, match="no ControlNet for depth") as refused:
        await pipeline.draw(make_job(conditioning_scales={CANNY: 1.0, DEPTH: 0.5}))
    assert refused.value.fields[0].field == "conditioning_weights.depth"
    # With weight 0 nobody misses it.
    assert (await pipeline.draw(make_job(conditioning_scales={CANNY: 1.0, DEPTH: 0.0}))).images


async def test_generate_gives_the_picture_of_the_same_job(
    pipeline: MultiControlNetPipeline,
) -> None:
    images = control_images(Size(64, 48))
    picture = await pipeline.generate(
        "a cat, ink",
        {kind.value: image for kind, image in images.items()},
        {"canny": 0.9, "depth": 0.5, "segmentation": 0.7, "scribble": 0.3},
        negative_prompt="blurry",
        num_inference_steps=3,
        guidance_scale=5.0,
        seed=7,
    )

    drawn = await pipeline.draw(make_job())
    assert pixels(picture) == pixels(drawn.images[0].image)


async def test_generate_names_an_unknown_parameter(pipeline: MultiControlNetPipeline) -> None:
    with pytest.raises(TypeError, match="strength"):
        await pipeline.generate("a cat", strength=0.5)


async def test_tokens_are_those_of_the_encoders(pipeline: MultiControlNetPipeline) -> None:
    assert pipeline.max_tokens == 77
    assert pipeline.count_tokens("") == 2
    assert pipeline.count_tokens("cat") == 5
    assert pipeline.count_tokens("c" * 500) == 502


async def test_half_precision_draws_nearly_the_same(tiny: Path, make_loader: Loaders) -> None:
    exact = await make_loader(model_settings(tiny)).load()
    bfloat16 = gpu_settings(dtype="bfloat16")
    rough = await make_loader(model_settings(tiny), gpu_settings=bfloat16).load()

    first = np.asarray((await exact.draw(make_job())).images[0].image).astype(int)
    second = np.asarray((await rough.draw(make_job())).images[0].image).astype(int)

    assert 0 < np.abs(first - second).mean() < 6
